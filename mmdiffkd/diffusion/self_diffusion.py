# Copyright (c) mmdiffkd contributors.
"""DSKD of one feature: the denoised student teaches the student."""

from typing import Any

import torch
from torch import Tensor

from mmdiffkd.registry import MODELS

from .guidance import ClassifierGuidance
from .noise_source import NoiseDraw
from .paired_output import PairedOutput
from .target import Target
from .teacher_diffusion import Noise, TeacherDiffusion

DIFFUSION_TARGETS = ('teacher', 'student')


@MODELS.register_module()
class SelfDiffusion(TeacherDiffusion):
    r"""Make a teacher of the student by denoising its own feature.

    1. Projection of the student to the latent of the teacher, a 1x1
       convolution: ``z_s``, in units of the teacher's root mean square.
    2. Forward process to the sampler's first timestep T:
       :math:`x_T = \sqrt{a_T}\, z + \sqrt{1 - a_T}\, \epsilon`, where z is
       ``z_s`` brought to the teacher's root mean square, sample by sample.
       (A student that learned from targets of its own length could grow for
       ever.) What is learned about noise in DiffKD, gamma, has no gradient
       here.
    3. DDIM chain from ``x_T``, each step guided by the teacher's classifier,
       see :class:`ClassifierGuidance`. Its end, detached, is the virtual
       teacher of ``z_s``. No graph is kept of the chain.
    4. The diffusion model learns the teacher's feature, as in DiffKD:
       ``loss_diff``. With ``diffusion_target='student'`` it learns z,
       detached: the teacher then enters through its classifier alone.

    The distance between ``z_s`` and the virtual teacher trains the student
    and its projection, ``loss_diff`` the denoiser. The student is never
    compared with the teacher's feature itself.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        diffusion_target (str): Whose feature the diffusion model learns,
            ``'teacher'`` or ``'student'``. Defaults to ``'teacher'``.
        latent_channels (int, optional): As all further arguments, see
            :class:`TeacherDiffusion`.

    Raises:
        ValueError: If ``diffusion_target`` is neither.

    Note:
        Of the paper (arXiv 2602.02107) only the abstract was at hand; see
        docs/en/dskd.md. Steps 1, 2 and 4 and the timesteps are our reading.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        diffusion_target: str = 'teacher',
        **shared: Any,
    ) -> None:
        if diffusion_target not in DIFFUSION_TARGETS:
            raise ValueError(
                f'diffusion_target must be one of {list(DIFFUSION_TARGETS)}, '
                f'got {diffusion_target!r}'
            )
        super().__init__(
            student_channels, teacher_channels, latent_channels, **shared
        )
        self.diffusion_target = diffusion_target

    def forward(
        self,
        student_feature: Tensor,
        teacher_feature: Tensor,
        noise: Noise = None,
        guidance: ClassifierGuidance | None = None,
        **options: Any,
    ) -> PairedOutput:
        """See :meth:`TeacherDiffusion.forward`; ``guidance`` is
        :meth:`pair`'s."""
        return super().forward(
            student_feature,
            teacher_feature,
            noise,
            guidance=guidance,
            **options,
        )

    def pair(
        self,
        projected: Tensor,
        target: Target,
        noise: NoiseDraw,
        guidance: ClassifierGuidance | None = None,
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """Steps 2 and 3.

        Args:
            projected (Tensor): ``z_s``, shape (N, L, H, W).
            target (Target): The teacher's feature.
            noise (NoiseDraw): The random numbers of this iteration.
            guidance (ClassifierGuidance, optional): Its classifier sees
                teacher features (N, C_t, H, W). Defaults to None: the
                student is denoised without guidance.

        Returns:
            tuple: ``z_s``, and ``z_s`` denoised and detached, shape
            (N, L, H, W) each, and, if guided, ``log_prob`` (of what the
            guidance aims at, at the last step).
        """
        guided = None
        if guidance is not None and guidance.scale > 0:
            guided = guidance.behind(
                lambda x: self.to_teacher(x, target.scale)
            )
        with torch.no_grad():
            # Detached weights: autocast may cache what it casts here, without
            # a gradient, and use it for loss_diff; those it never caches.
            virtual = self.sample(
                self._diffuse(projected, target, noise),
                guided,
                train_denoiser=False,
            )
        stats = {}
        if guided is not None and guided.value is not None:
            stats['log_prob'] = guided.value
        return (projected, virtual), stats

    def _diffuse(
        self, projected: Tensor, target: Target, noise: NoiseDraw
    ) -> Tensor:
        """``x_T`` of step 2, shape (N, L, H, W)."""
        first = noise.timesteps.new_full(
            (len(projected),), self.sampler.timesteps[0]
        )
        diffused: Tensor = self.schedule.add_noise(
            _of_equal_length(projected, target), noise.student, first
        )
        return diffused

    def learned(self, projected: Tensor, target: Target) -> Tensor:
        """What the diffusion model learns, see ``diffusion_target``."""
        if self.diffusion_target == 'teacher':
            return super().learned(projected, target)
        return _of_equal_length(projected.detach(), target)


def _of_equal_length(projected: Tensor, target: Target) -> Tensor:
    """z of step 2: the teacher's root mean square in each sample."""
    length = projected.square().mean(dim=(1, 2, 3), keepdim=True)
    ratio = target.clean.square().mean() / length.clamp(min=1e-12)
    return projected * ratio.sqrt()
