# Copyright (c) mmdiffkd contributors.
"""DSKD of one feature: the denoised student teaches the student."""

import torch
from torch import Tensor

from mmdiffkd.registry import MODELS

from .guidance import ClassifierGuidance
from .paired_output import PairedOutput
from .teacher_diffusion import Noise, TeacherDiffusion


@MODELS.register_module()
class SelfDiffusion(TeacherDiffusion):
    """Make a teacher of the student by denoising its own feature.

    1. Projection of the student to the latent of the teacher, a 1x1
       convolution: ``z_s``, in units of the teacher's standard deviation.
    2. Forward process to the sampler's first timestep T:
       ``x_T = sqrt(a_T) z + sqrt(1 - a_T) eps``, where z is ``z_s`` brought
       to the teacher's root mean square, sample by sample. (A student that
       learned from targets of its own length could grow for ever.) What is
       learned about noise in DiffKD, gamma, has no gradient here.
    3. DDIM chain from ``x_T``, each step guided by the teacher's classifier,
       see :class:`ClassifierGuidance`. Its end, detached, is the virtual
       teacher of ``z_s``. No graph is kept of the chain.
    4. The diffusion model learns the teacher's feature, as in DiffKD:
       ``loss_diff``.

    The distance between ``z_s`` and the virtual teacher trains the student
    and its projection, ``loss_diff`` the denoiser. The student is never
    compared with the teacher's feature itself.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): As all further arguments, see
            :class:`TeacherDiffusion`.

    Note:
        Of the paper (arXiv 2602.02107) only the abstract was at hand; see
        docs/en/dskd.md. Steps 1, 2 and 4 and the timesteps are our reading.
    """

    def forward(
        self,
        student_feature: Tensor,
        teacher_feature: Tensor,
        noise: Noise = None,
        guidance: ClassifierGuidance | None = None,
    ) -> PairedOutput:
        """Denoise the student feature and train the diffusion model.

        Args:
            student_feature (Tensor): A map (N, C_s, H, W), tokens (N, L, C_s)
                or a vector (N, C_s).
            teacher_feature (Tensor): Likewise with C_t; it is detached.
            noise (torch.Generator | NoiseDraw | None): As in
                :meth:`FeatureDiffusion.forward`. Defaults to None.
            guidance (ClassifierGuidance, optional): Its classifier sees
                teacher features (N, C_t, H, W). Defaults to None: the
                student is denoised without guidance.

        Returns:
            PairedOutput: ``student``, the original feature projected, and
            ``teacher``, denoised and detached, both maps of the latent's
            channels, or vectors for vectors; ``losses`` with ``loss_diff``
            and, with an autoencoder, ``loss_ae``; ``stats`` with
            ``feature_scale`` (root mean square of the teacher's latent)
            and, if guided, ``log_prob`` (of the target, at the last step).

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student, teacher = self.as_maps(student_feature, teacher_feature)
        latent, losses = self.encode(teacher)
        projected = self.project(student)
        noise = self.draw(projected, latent, noise)
        clean, scale = self.normalize(latent)

        with torch.no_grad():
            start = noise.timesteps.new_full(
                (len(projected),), self.sampler.timesteps[0]
            )
            length = projected.square().mean(dim=(1, 2, 3), keepdim=True)
            target = clean.square().mean()
            noisy = self.schedule.add_noise(
                projected * (target / length.clamp(min=1e-12)).sqrt(),
                noise.student,
                start,
            )
            # Detached weights: autocast may cache what it casts here, without
            # a gradient, and use it for loss_diff; those it never caches.
            denoised = self.sample(
                noisy, scale, guidance, train_denoiser=False
            )
        losses['loss_diff'] = self.diffusion_loss(clean, noise)

        if scale is None:
            scale = latent.square().mean().sqrt()
        stats = dict(feature_scale=scale)
        if guidance is not None and guidance.value is not None:
            stats['log_prob'] = guidance.value
        if student_feature.dim() == 2:
            projected, denoised = projected.flatten(1), denoised.flatten(1)
        return PairedOutput(projected, denoised, losses, stats)
