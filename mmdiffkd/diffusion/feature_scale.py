# Copyright (c) mmdiffkd contributors.
"""Size of the teacher's feature."""

import torch
from torch import Tensor

from mmdiffkd.registry import MODELS

from .iteration_count import IterationCount
from .over_ranks import mean_over_ranks, world_size


@MODELS.register_module()
class FeatureScale(IterationCount):
    """One number per feature pair: the root mean square.

    The diffusion model expects samples of about unit variance, and FPN maps
    have standard deviations of 3 to 7. The number is averaged over the first
    iterations and then stays, because the teacher does not change, and a
    scale that moves would move the target of everything behind it. A batch of
    nothing leaves it as it is; of several processes those with samples decide,
    and an iteration without any on all of them counts.

    Args:
        num_iters (int): Iterations to average over, at least 1. Defaults to
            100.

    Raises:
        ValueError: If there are none; ``normalize=False`` of the core
            switches the division off.
    """

    mean_square: Tensor

    def __init__(self, num_iters: int = 100) -> None:
        super().__init__()
        if num_iters < 1:
            raise ValueError(
                f'num_iters must be at least 1, got {num_iters}; '
                'normalize=False switches it off'
            )
        self.num_iters = num_iters
        self.register_buffer('mean_square', torch.ones(()))

    def forward(self, feature: Tensor) -> Tensor:
        """Update the estimate while it is young, and return it.

        Args:
            feature (Tensor): Detached teacher feature of any shape.

        Returns:
            Tensor: Root mean square, a scalar without gradient, float32.
        """
        if self.training and self.count < self.num_iters:
            self._update(feature)
        return self.mean_square.sqrt()

    @torch.no_grad()
    def _update(self, feature: Tensor) -> None:
        measured = feature.numel() > 0
        if not measured and world_size() == 1:
            return
        dtype = torch.promote_types(feature.dtype, torch.float32)
        square = feature.to(dtype).square().mean()
        square = mean_over_ranks(square, measured, self.mean_square)
        # On all ranks alike, even if none has measured: the host cannot know.
        self.tick()
        square = square.clamp(min=1e-12).to(self.mean_square.dtype)
        self.mean_square.lerp_(square, 1 / self.count)
