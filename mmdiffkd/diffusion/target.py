# Copyright (c) mmdiffkd contributors.
"""What a student is to reach."""

from typing import NamedTuple

from torch import Tensor


class Target(NamedTuple):
    """The teacher's feature, as the student and the diffusion model see it.

    Attributes:
        latent (Tensor): ``z_t``, detached, shape (N, L, H, W).
        clean (Tensor): ``z_t / scale``, what the diffusion model learns.
        scale (Tensor | None): Root mean square of ``z_t``, a scalar; None
            where ``z_t`` is not divided.
    """

    latent: Tensor
    clean: Tensor
    scale: Tensor | None
