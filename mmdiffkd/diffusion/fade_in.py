# Copyright (c) mmdiffkd contributors.
"""Let the distance train the student only once there is a diffusion model."""

from torch import Tensor

from .iteration_count import IterationCount


class FadeIn(IterationCount):
    """Multiply a gradient by a factor that rises to 1.

    The value passes unchanged, so that the log shows the distance as it is.
    Iteration i has the factor ``(i + 1) / (num_iters + 1)``: the first is
    small but not 0, so that the checks of the first iteration still see
    whether the gradient reaches the student.

    Args:
        num_iters (int): Training iterations until the factor is 1; it rises
            linearly.
    """

    def __init__(self, num_iters: int) -> None:
        super().__init__()
        self.num_iters = num_iters

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, and count the iteration in training."""
        factor = min((self.count + 1) / (self.num_iters + 1), 1.0)
        if self.training and self.count < self.num_iters:
            self.tick()
        return x if factor == 1 else x.detach().lerp(x, factor)
