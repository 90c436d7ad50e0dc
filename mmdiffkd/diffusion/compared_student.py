# Copyright (c) mmdiffkd contributors.
"""The way of a student feature to the place where it is compared."""

import torch
from torch import Tensor, nn

from .blocks import build_norm, conv_norm
from .fade_in import FadeIn
from .feature_pair import FeaturePair, check_not_negative


class ComparedStudent(FeaturePair):
    """What stands around the denoising of a student that is compared.

    A norm behind the student's projection, and behind the denoising a
    projection to the units of ``z_t`` and the warm-up of the gradient.
    :class:`FeatureMimicking` has nothing in between.
    """

    student_norm: nn.Module
    output_projection: nn.Module
    fade_in: nn.Module

    def surround(
        self,
        student_norm: bool,
        projection_norm: bool,
        output_gain: float,
        kd_warmup_iters: int,
        output_projection: bool = True,
    ) -> None:
        """Make the parts; the arguments are :class:`FeatureDiffusion`'s."""
        check_not_negative(kd_warmup_iters=kd_warmup_iters)
        if student_norm and self.norm_cfg is None:
            raise ValueError(
                'student_norm needs a norm, and norm_cfg is None; set '
                'student_norm=False, too'
            )
        # With 1 added to the variance it brings large features to unit
        # variance and leaves small ones small. Those of a student at its
        # start hold little but noise; blown up, it drowns the student's task.
        self.student_norm = (
            build_norm(dict(self.norm_cfg, eps=1.0), self.width, affine=False)
            if student_norm
            else nn.Identity()
        )
        if output_projection:
            self.output_projection = nn.Sequential(
                *conv_norm(
                    self.width,
                    self.width,
                    1,
                    self.norm_cfg if projection_norm else None,
                )
            )
            with torch.no_grad():
                next(self.output_projection.parameters()).mul_(output_gain)
        else:
            self.output_projection = nn.Identity()
        self.fade_in = (
            FadeIn(kd_warmup_iters) if kd_warmup_iters else nn.Identity()
        )

    def project(self, student: Tensor) -> Tensor:
        """The student's latent ``z_s``, normalised, shape (N, L, H, W)."""
        latent: Tensor = self.student_norm(super().project(student))
        return latent.to(student.dtype)

    def to_target(self, student: Tensor, latent: Tensor) -> Tensor:
        """Bring the student into the units of ``z_t``, shape (N, L, H, W)."""
        # Sums of squares over a map overflow in half precision.
        output: Tensor = self.fade_in(
            self.output_projection(student).to(latent.dtype)
        )
        return output
