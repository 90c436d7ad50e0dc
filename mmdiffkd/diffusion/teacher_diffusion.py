# Copyright (c) mmdiffkd contributors.
"""A diffusion model of the teacher's feature, and the way into it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from .blocks import BATCH_NORM, build
from .feature_layout import RESIZE_MODES, as_map, check_channels, match_size
from .guidance import ClassifierGuidance
from .noise_source import NoiseDraw, NoiseSource

Noise = torch.Generator | NoiseDraw | Sequence[Tensor] | None


class TeacherDiffusion(nn.Module):
    """What all methods with a diffusion model of the teacher share.

    The diffusion model (Eq. 4) with its schedule and sampler, the
    autoencoder (Eq. 6), the scale of the feature, the student's projection
    to the latent, and a source of noise. Subclasses say what becomes of the
    student, see :class:`FeatureDiffusion` and :class:`SelfDiffusion`.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): Channels of the autoencoder's latent.
            Defaults to None: no autoencoder.
        zero_init (bool): Whether the denoiser starts by predicting no noise.
            Defaults to True.
        normalize (bool | dict): Whether the diffusion model sees the latent
            divided by its root mean square, one number; a dict is the config
            of another scale than :class:`FeatureScale`. Defaults to True.
        diffusion_loss_weight (float): lambda_1 of Eq. 9. Defaults to 1.0.
        autoencoder_loss_weight (float): lambda_2 of Eq. 9. Defaults to 1.0.
        schedule (dict, optional): Config of the noise schedule. Defaults to
            :class:`NoiseSchedule`.
        sampler (dict, optional): Config of the sampler. Defaults to
            :class:`DDIMSampler`, 5 steps from t = 400.
        denoiser (dict, optional): Config of the denoiser. Defaults to
            :class:`BottleneckDenoiser`; :class:`MLPDenoiser` for vectors.
        autoencoder (dict, optional): Config of the autoencoder. Defaults to
            :class:`LinearAutoencoder`.
        norm_cfg (dict): Norm of all parts: BN, SyncBN, GN or IN. Defaults to
            ``dict(type='BN')``.
        resize (str, optional): Mode in which a student map of another height
            or width is resized to the teacher's. Defaults to None: an error.
        token_shape (tuple[int, int], optional): (H, W) of features that are
            tokens (N, L, C). Defaults to None.
        num_class_tokens (int): Leading tokens to drop. Defaults to 0.
        with_cp (bool): Whether to recompute the denoiser in the backward
            pass, to save memory. Defaults to False.
        seed (int, optional): See :class:`NoiseSource`. Defaults to None.

    Raises:
        ValueError: If ``resize`` is no mode of interpolation, or a number is
            out of range.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        zero_init: bool = True,
        normalize: bool | dict = True,
        diffusion_loss_weight: float = 1.0,
        autoencoder_loss_weight: float = 1.0,
        schedule: dict | None = None,
        sampler: dict | None = None,
        denoiser: dict | None = None,
        autoencoder: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        resize: str | None = None,
        token_shape: tuple[int, int] | None = None,
        num_class_tokens: int = 0,
        with_cp: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if resize not in (None, *RESIZE_MODES):
            raise ValueError(
                f'resize must be None or one of '
                f'{list(RESIZE_MODES)}, got {resize!r}'
            )
        if token_shape is not None and min(token_shape) < 1:
            raise ValueError(
                'token_shape must be (H, W) of at least (1, 1), '
                f'got {token_shape}'
            )
        for name, value in dict(
            num_class_tokens=num_class_tokens,
            diffusion_loss_weight=diffusion_loss_weight,
            autoencoder_loss_weight=autoencoder_loss_weight,
        ).items():
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.diffusion_loss_weight = diffusion_loss_weight
        self.autoencoder_loss_weight = autoencoder_loss_weight
        self.resize = resize
        self.token_shape = token_shape
        self.num_class_tokens = num_class_tokens
        self.with_cp = with_cp
        self.noise_source = NoiseSource(seed)

        self.width = width = latent_channels or teacher_channels
        self.autoencoder = (
            None
            if latent_channels is None
            else build(
                autoencoder,
                'LinearAutoencoder',
                channels=teacher_channels,
                latent_channels=width,
                norm_cfg=norm_cfg,
            )
        )
        self.student_projection = nn.Conv2d(student_channels, width, 1)
        self.schedule = build(schedule, 'NoiseSchedule')
        self.sampler = build(sampler, 'DDIMSampler', schedule=self.schedule)
        self.denoiser = build(
            denoiser,
            'BottleneckDenoiser',
            channels=width,
            num_train_timesteps=self.schedule.num_train_timesteps,
            norm_cfg=norm_cfg,
        )
        self.feature_scale = (
            build(
                normalize if isinstance(normalize, dict) else None,
                'FeatureScale',
            )
            if normalize
            else None
        )
        if zero_init and hasattr(self.denoiser, 'zero_init'):
            self.denoiser.zero_init()

    def as_maps(
        self, student: Tensor, teacher: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both features as float32 maps of one size, the teacher detached.

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student = self.as_map(student, 'student')
        teacher = self.as_map(teacher, 'teacher')
        check_channels(student, self.student_channels, 'student')
        check_channels(teacher, self.teacher_channels, 'teacher')
        student = match_size(student, teacher, self.resize)
        teacher = teacher.detach()
        return (
            student.to(at_least_float32(student)),
            teacher.to(at_least_float32(teacher)),
        )

    def as_map(self, feature: Tensor, side: str) -> Tensor:
        """A map, a vector or tokens as a map (N, C, H, W)."""
        return as_map(feature, side, self.token_shape, self.num_class_tokens)

    def encode(self, teacher: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The latent ``z_t``, detached, and the autoencoder's loss if any.

        Args:
            teacher (Tensor): Shape (N, C_t, H, W).

        Returns:
            tuple[Tensor, dict]: Shape (N, L, H, W), and ``loss_ae``.
        """
        if self.autoencoder is None:
            return teacher, {}
        latent, reconstruction = self.autoencoder(teacher)
        loss = self.autoencoder_loss_weight * F.mse_loss(
            reconstruction, teacher
        )
        return latent.detach().to(teacher.dtype), dict(loss_ae=loss)

    def project(self, student: Tensor) -> Tensor:
        """The student's latent ``z_s``, shape (N, L, H, W)."""
        return self.student_projection(student).to(student.dtype)

    def draw(self, student: Tensor, latent: Tensor, noise: Noise) -> NoiseDraw:
        """The random numbers of this iteration, drawn unless given."""
        if not isinstance(noise, (tuple, list)):
            noise = self.noise_source.draw(
                student, latent, self.schedule.num_train_timesteps, noise
            )
        return NoiseDraw(*noise)

    def normalize(self, latent: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the diffusion model sees of ``z_t``, and the divisor."""
        if self.feature_scale is None:
            return latent, None
        scale = self.feature_scale(latent).to(latent.dtype)
        return latent / scale, scale

    def diffusion_loss(self, clean: Tensor, noise: NoiseDraw) -> Tensor:
        """Error of the noise prediction on the teacher (Eq. 4)."""
        diffused = self.schedule.add_noise(
            clean, noise.teacher, noise.timesteps
        )
        predicted = self.denoise(diffused, noise.timesteps)
        # A schedule of one's own need not know of weights.
        weights = getattr(self.schedule, 'loss_weights', lambda t: None)(
            noise.timesteps
        )
        if weights is None:
            loss = F.mse_loss(predicted, noise.teacher)
        else:
            errors = F.mse_loss(predicted, noise.teacher, reduction='none')
            loss = (errors.flatten(1).mean(1) * weights).mean()
        return self.diffusion_loss_weight * loss

    def sample(
        self,
        noisy: Tensor,
        scale: Tensor | None,
        guidance: ClassifierGuidance | None,
        train_denoiser: bool = True,
    ) -> Tensor:
        """Run the reverse process (Eq. 5).

        Args:
            noisy (Tensor): Where it starts, shape (N, L, H, W).
            scale (Tensor, optional): The divisor of :meth:`normalize`.
            guidance (ClassifierGuidance, optional): Its classifier sees the
                teacher's own feature, shape (N, C_t, H, W): multiplied by
                ``scale`` and decoded.
            train_denoiser (bool): Whether a gradient may reach the
                denoiser's parameters; it flows through them in any case.
                Defaults to True.

        Returns:
            Tensor: Denoised, shape (N, L, H, W), as :meth:`normalize` gives.
        """
        options: dict[str, Any] = {}
        if guidance is not None and guidance.scale > 0:
            options['guidance'] = guidance.behind(
                lambda x: self.to_teacher(x, scale)
            )
        denoiser = self.denoise
        if not train_denoiser:
            denoiser = partial(
                self.denoise,
                parameters={
                    name: p.detach()
                    for name, p in self.denoiser.named_parameters()
                },
            )
        denoised = self.sampler(denoiser, noisy, **options)
        if options:
            guidance.value = options['guidance'].value
        return denoised

    def to_teacher(self, clean: Tensor, scale: Tensor | None) -> Tensor:
        """Undo :meth:`normalize` and :meth:`encode`.

        Raises:
            ValueError: If the autoencoder has no decoder.
        """
        if scale is not None:
            clean = clean * scale
        if self.autoencoder is None:
            return clean
        decoder = getattr(self.autoencoder, 'decoder', None)
        if decoder is None:
            raise ValueError(
                f'{type(self.autoencoder).__name__} has no `decoder`, so a '
                'classifier of the teacher cannot see its latent; give it '
                'one, leave latent_channels out, or set the scale of the '
                'guidance to 0'
            )
        return decoder(clean)

    def denoise(
        self,
        x: Tensor,
        timesteps: Tensor,
        parameters: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Predict noise, with the denoiser's parameters or with others."""

        def run(x: Tensor, timesteps: Tensor) -> Tensor:
            if parameters is None:
                return self.denoiser(x, timesteps)
            return functional_call(self.denoiser, parameters, (x, timesteps))

        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(run, x, timesteps, use_reentrant=False)
        return run(x, timesteps)


def at_least_float32(x: Tensor) -> torch.dtype:
    """Noise and schedule arithmetic is done in float32 under AMP."""
    return torch.promote_types(x.dtype, torch.float32)
