# Copyright (c) mmdiffkd contributors.
"""DiffKD of one pair of features, composed from its parts."""
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from mmdiffkd.registry import MODELS
from .blocks import build, conv_norm
from .feature_layout import as_map, check_channels, match_size
from .feature_scale import FeatureScale
from .noise_source import NoiseDraw, NoiseSource
from .paired_output import PairedOutput

RECIPES: Dict[str, Dict[str, Any]] = dict(
    # Structure and initialisation of the paper's published code.
    released=dict(
        zero_init=False,
        projection_norm=True,
        identity_init=False,
        initial_gamma=None,
        normalize=False),
    # Starts as plain feature mimicking: what the diffusion model does to the
    # student feature it has to learn first. See docs/en/results.md.
    warm=dict(
        zero_init=True,
        projection_norm=False,
        identity_init=False,
        initial_gamma=None,
        normalize=False))


@MODELS.register_module()
class FeatureDiffusion(nn.Module):
    """Denoise a student feature with a diffusion model of the teacher's."""

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: Optional[int] = None,
        recipe: str = 'warm',
        zero_init: Optional[bool] = None,
        projection_norm: Optional[bool] = None,
        identity_init: Optional[bool] = None,
        initial_gamma: Optional[float] = None,
        normalize: Optional[bool] = None,
        kd_grad_to_denoiser: bool = True,
        diffusion_loss_weight: float = 1.0,
        autoencoder_loss_weight: float = 1.0,
        schedule: Optional[dict] = None,
        sampler: Optional[dict] = None,
        denoiser: Optional[dict] = None,
        noise_matching: Optional[dict] = None,
        autoencoder: Optional[dict] = None,
        norm_cfg: dict = dict(type='BN'),
        resize: Optional[str] = None,
        token_shape: Optional[Tuple[int, int]] = None,
        num_class_tokens: int = 0,
        with_cp: bool = False,
        seed: Optional[int] = None,
    ) -> None:
        super().__init__()
        if recipe not in RECIPES:
            raise ValueError(f"recipe '{recipe}' is unknown; choose one of "
                             f'{sorted(RECIPES)}')
        options = dict(
            zero_init=zero_init,
            projection_norm=projection_norm,
            identity_init=identity_init,
            initial_gamma=initial_gamma,
            normalize=normalize)
        options = {
            key: RECIPES[recipe][key] if value is None else value
            for key, value in options.items()
        }
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.kd_grad_to_denoiser = kd_grad_to_denoiser
        self.diffusion_loss_weight = diffusion_loss_weight
        self.autoencoder_loss_weight = autoencoder_loss_weight
        self.resize = resize
        self.token_shape = token_shape
        self.num_class_tokens = num_class_tokens
        self.with_cp = with_cp
        self.noise_source = NoiseSource(seed)

        width = latent_channels or teacher_channels
        self.autoencoder = None if latent_channels is None else build(
            autoencoder,
            'LinearAutoencoder',
            channels=teacher_channels,
            latent_channels=width,
            norm_cfg=norm_cfg)
        self.student_projection = nn.Conv2d(student_channels, width, 1)
        self.schedule = build(schedule, 'NoiseSchedule')
        self.sampler = build(sampler, 'DDIMSampler', schedule=self.schedule)
        self.denoiser = build(
            denoiser,
            'BottleneckDenoiser',
            channels=width,
            num_train_timesteps=self.schedule.num_train_timesteps,
            norm_cfg=norm_cfg)
        self.noise_matching = build(
            noise_matching,
            'AdaptiveNoiseMatching',
            channels=width,
            spatial=getattr(self.denoiser, 'spatial', True),
            initial_gamma=options['initial_gamma'],
            norm_cfg=norm_cfg)
        self.output_projection = nn.Sequential(*conv_norm(
            width, width, 1,
            norm_cfg if options['projection_norm'] else None))
        self.feature_scale = FeatureScale() if options['normalize'] else None
        if options['zero_init'] and hasattr(self.denoiser, 'zero_init'):
            self.denoiser.zero_init()
        if options['identity_init']:
            nn.init.dirac_(self.output_projection[0].weight)
            nn.init.zeros_(self.output_projection[0].bias)

    def forward(
        self,
        student_feature: Tensor,
        teacher_feature: Tensor,
        noise: Union[torch.Generator, NoiseDraw, Sequence[Tensor],
                     None] = None
    ) -> PairedOutput:
        student, teacher = self._as_maps(student_feature, teacher_feature)
        student = student.to(_at_least_float32(student))
        teacher = teacher.detach().to(_at_least_float32(teacher))

        losses = {}
        latent = teacher
        if self.autoencoder is not None:
            latent, reconstruction = self.autoencoder(teacher)
            losses['loss_ae'] = self.autoencoder_loss_weight * F.mse_loss(
                reconstruction, teacher)
            latent = latent.detach().to(teacher.dtype)
        projected = self.student_projection(student).to(student.dtype)
        if not isinstance(noise, (tuple, list)):
            noise = self.noise_source.draw(
                projected, latent, self.schedule.num_train_timesteps, noise)
        noise = NoiseDraw(*noise)

        clean = latent
        if self.feature_scale is not None:
            scale = self.feature_scale(latent).to(latent.dtype)
            clean = latent / scale
        else:
            scale = None

        noisy, gamma = self.noise_matching(projected, noise.student)
        denoised = self.sampler(self._denoise_student, noisy)
        if scale is not None:
            denoised = denoised * scale
        # Sums of squares over a map overflow in half precision.
        output = self.output_projection(denoised).to(latent.dtype)

        diffused = self.schedule.add_noise(clean, noise.teacher,
                                           noise.timesteps)
        losses['loss_diff'] = self.diffusion_loss_weight * F.mse_loss(
            self._denoise(diffused, noise.timesteps), noise.teacher)
        stats = dict(
            gamma_mean=gamma.detach().mean(),
            feature_scale=scale if scale is not None else
            latent.square().mean().sqrt())
        if student_feature.dim() == 2:
            output, latent = output.flatten(1), latent.flatten(1)
        return PairedOutput(output, latent, losses, stats)

    def _denoise(self, x: Tensor, timesteps: Tensor) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(
                self.denoiser, x, timesteps, use_reentrant=False)
        return self.denoiser(x, timesteps)

    def _denoise_student(self, x: Tensor, timesteps: Tensor) -> Tensor:
        if self.kd_grad_to_denoiser:
            return self._denoise(x, timesteps)
        frozen = {k: p.detach() for k, p in self.denoiser.named_parameters()}
        return functional_call(self.denoiser, frozen, (x, timesteps))

    def _as_maps(self, student: Tensor,
                 teacher: Tensor) -> Tuple[Tensor, Tensor]:
        token_shape = self.token_shape
        student = as_map(student, 'student', token_shape,
                         self.num_class_tokens)
        teacher = as_map(teacher, 'teacher', token_shape,
                         self.num_class_tokens)
        check_channels(student, self.student_channels, 'student')
        check_channels(teacher, self.teacher_channels, 'teacher')
        return match_size(student, teacher, self.resize), teacher


def _at_least_float32(x: Tensor) -> torch.dtype:
    """Noise and schedule arithmetic is done in float32 under AMP."""
    return torch.promote_types(x.dtype, torch.float32)
