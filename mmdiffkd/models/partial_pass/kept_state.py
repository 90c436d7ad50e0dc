# Copyright (c) mmdiffkd contributors.
"""What outlives a forward pass: attributes of modules, and random numbers."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from .stand_in import StandIn


class KeptState:
    """Takes back stand-ins that modules have kept within its context.

    Attributes and buffers that are one become what they were; so a grid that
    a module makes for each new size is made again.

    Args:
        modules (Iterable[nn.Module]): With all of their submodules.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = {m for part in modules for m in part.modules()}
        self._before: list[tuple[dict, dict]] = []
        #: Whether there were any.
        self.restored = False

    def __enter__(self) -> 'KeptState':
        for module in self._modules:
            for kept in (vars(module), module._buffers):
                self._before.append((kept, dict(kept)))
        return self

    def __exit__(self, *error: Any) -> None:
        for kept, before in self._before:
            if any(isinstance(value, StandIn) for value in kept.values()):
                kept.clear()
                kept.update(before)
                self.restored = True


def host_randomness() -> Any:
    """States of the global generators on the host, to be compared."""
    state: Any = np.random.get_state()
    kind, words, *rest = state
    return (
        random.getstate(),
        (kind, words.tobytes(), *rest),
        torch.get_rng_state().numpy().tobytes(),
    )
