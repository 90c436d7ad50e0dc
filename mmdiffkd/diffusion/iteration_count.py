# Copyright (c) mmdiffkd contributors.
"""Count iterations without waiting for the device."""

from typing import Any

import torch
from torch import Tensor, nn


class IterationCount(nn.Module):
    """Base of modules that count iterations, in the buffer ``iteration``.

    The host keeps the same count, because reading the buffer would wait for
    the device.
    """

    iteration: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('iteration', torch.zeros((), dtype=torch.long))
        self._count = 0

    @property
    def count(self) -> int:
        """Iterations counted so far, without a wait for the device."""
        return self._count

    def tick(self) -> None:
        """Count one iteration."""
        self._count += 1
        self.iteration += 1

    def recount(self) -> None:
        """Set the host's count from the buffer, after it was changed."""
        self._count = int(self.iteration)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.recount()
