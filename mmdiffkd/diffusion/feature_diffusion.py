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
    # Structure, initialisation and gradients of the paper's published code.
    released=dict(
        zero_init=False,
        projection_norm=True,
        output_gain=1.0,
        initial_gamma=None,
        normalize=False,
        kd_grad_to_denoiser=True),
    # What the ablation in docs/en/results.md ends with: the diffusion model
    # learns the teacher and nothing else, and until it has, the chain does no
    # harm.
    tuned=dict(
        zero_init=True,
        projection_norm=False,
        output_gain=0.1,
        initial_gamma=0.999,
        normalize=True,
        kd_grad_to_denoiser=False))


@MODELS.register_module()
class FeatureDiffusion(nn.Module):
    """Denoise a student feature with a diffusion model of the teacher's.

    1. Autoencoder, if ``latent_channels`` is given (Eq. 6):
       ``loss_ae = mse(decode(encode(F_t)), F_t)``, and ``z_t = encode(F_t)``,
       detached. Without it, ``z_t = F_t``.
    2. Projection of the student, a 1x1 convolution: ``z_s``.
    3. Noise matching (Eq. 8): ``x = gamma * z_s + (1 - gamma) * eps``.
    4. DDIM chain (Eq. 5) from ``x`` to the denoised feature.
    5. Projection of the denoised feature, a 1x1 convolution, with a norm in
       the released recipe. It is what a distance compares with ``z_t``
       (Eq. 7).
    6. Diffusion loss (Eq. 4) on the teacher alone:
       ``loss_diff = mse(denoiser(sqrt(a_t) z_t + sqrt(1 - a_t) eps, t), eps)``
       with t uniform over all timesteps. 1.0 is what predicting nothing
       costs.

    The distance trains steps 2 to 5 and the student, ``loss_diff`` the
    denoiser, ``loss_ae`` the autoencoder. Noise and schedule arithmetic is
    done in float32 under AMP.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): Channels of the autoencoder's latent.
            Defaults to None: no autoencoder.
        recipe (str): Values of the six arguments that follow, where they are
            None. ``'released'`` is the paper's published code, ``'tuned'``
            what trains best in short schedules. Defaults to ``'released'``;
            the connector and the configs choose ``'tuned'``.
        zero_init (bool, optional): Whether the denoiser starts by predicting
            no noise.
        projection_norm (bool, optional): Whether a norm follows step 5. A
            norm starts at unit variance, far from features of standard
            deviation 7.
        output_gain (float, optional): Factor on the initial weights of
            step 5; a small one starts at predicting the mean.
        initial_gamma (float, optional): gamma at the start of training;
            random weights give about 0.5.
        normalize (bool, optional): Whether ``z_t`` is divided by its standard
            deviation, one number, in front of the denoiser, and the denoised
            feature multiplied by it; see :class:`FeatureScale`.
        kd_grad_to_denoiser (bool, optional): Whether the distance trains the
            denoiser's weights too. It flows through them in any case.
        diffusion_loss_weight (float): lambda_1 of Eq. 9. Defaults to 1.0.
        autoencoder_loss_weight (float): lambda_2 of Eq. 9. Defaults to 1.0.
        schedule (dict, optional): Config of the noise schedule. Defaults to
            :class:`NoiseSchedule`.
        sampler (dict, optional): Config of the sampler. Defaults to
            :class:`DDIMSampler`, 5 steps from t = 400.
        denoiser (dict, optional): Config of the denoiser. Defaults to
            :class:`BottleneckDenoiser`; :class:`MLPDenoiser` for logits.
        noise_matching (dict, optional): Config of the noise matching.
            Defaults to :class:`AdaptiveNoiseMatching`.
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
        ValueError: If the recipe is unknown.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: Optional[int] = None,
        recipe: str = 'released',
        zero_init: Optional[bool] = None,
        projection_norm: Optional[bool] = None,
        output_gain: Optional[float] = None,
        initial_gamma: Optional[float] = None,
        normalize: Optional[bool] = None,
        kd_grad_to_denoiser: Optional[bool] = None,
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
            output_gain=output_gain,
            initial_gamma=initial_gamma,
            normalize=normalize,
            kd_grad_to_denoiser=kd_grad_to_denoiser)
        options = {
            key: RECIPES[recipe][key] if value is None else value
            for key, value in options.items()
        }
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.kd_grad_to_denoiser = options['kd_grad_to_denoiser']
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
        with torch.no_grad():
            self.output_projection[0].weight *= options['output_gain']

    def forward(
        self,
        student_feature: Tensor,
        teacher_feature: Tensor,
        noise: Union[torch.Generator, NoiseDraw, Sequence[Tensor],
                     None] = None
    ) -> PairedOutput:
        """Denoise the student feature and train the diffusion model.

        Args:
            student_feature (Tensor): A map (N, C_s, H, W), tokens (N, L, C_s)
                or a vector (N, C_s).
            teacher_feature (Tensor): Likewise with C_t; it is detached.
            noise (torch.Generator | NoiseDraw | None): Where the random
                numbers come from: a generator, or the numbers themselves,
                of the latent's shape. Defaults to None: a generator of this
                module's own, different on every rank.

        Returns:
            PairedOutput: ``student``, denoised and projected, and ``teacher``,
            ``z_t`` detached, both maps of the latent's channels, or vectors
            for vectors; ``losses`` with ``loss_diff`` and, with an
            autoencoder, ``loss_ae``; ``stats`` with ``gamma_mean`` (share of
            the student that noise matching keeps) and ``feature_scale``
            (standard deviation of ``z_t``).

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
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

        clean, scale = latent, None
        if self.feature_scale is not None:
            scale = self.feature_scale(latent).to(latent.dtype)
            clean = latent / scale

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
        if scale is None:
            scale = latent.square().mean().sqrt()
        stats = dict(gamma_mean=gamma.detach().mean(), feature_scale=scale)
        if student_feature.dim() == 2:
            output, latent = output.flatten(1), latent.flatten(1)
        return PairedOutput(output, latent, losses, stats)

    def _denoise(self,
                 x: Tensor,
                 timesteps: Tensor,
                 parameters: Optional[Dict[str, Tensor]] = None) -> Tensor:
        """Predict noise, with the denoiser's parameters or with others."""

        def run(x: Tensor, timesteps: Tensor) -> Tensor:
            if parameters is None:
                return self.denoiser(x, timesteps)
            return functional_call(self.denoiser, parameters, (x, timesteps))

        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(run, x, timesteps, use_reentrant=False)
        return run(x, timesteps)

    def _denoise_student(self, x: Tensor, timesteps: Tensor) -> Tensor:
        if self.kd_grad_to_denoiser:
            return self._denoise(x, timesteps)
        frozen = {k: p.detach() for k, p in self.denoiser.named_parameters()}
        return self._denoise(x, timesteps, frozen)

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
