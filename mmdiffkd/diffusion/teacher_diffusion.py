# Copyright (c) mmdiffkd contributors.
"""A diffusion model of the teacher's feature, and one iteration with it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmdiffkd.utils.compiling import compile_arguments

from .blocks import Config, build, norms_of
from .checkpointing import recomputed
from .ddim_sampler import DDIMSampler
from .feature_pair import FeaturePair, check_not_negative
from .guidance import ClassifierGuidance
from .noise_schedule import NoiseSchedule
from .noise_source import NoiseDraw, NoiseSource
from .paired_output import PairedOutput
from .prediction import as_noise, predicted_target, resolve_zero_init
from .target import Target

Noise = torch.Generator | NoiseDraw | Sequence[Tensor] | None


class TeacherDiffusion(FeaturePair):
    """What all methods with a diffusion model of the teacher share.

    The diffusion model (Eq. 4) with its schedule and sampler, the scale of
    the feature, a source of noise, and :meth:`forward`. Subclasses say in
    :meth:`pair` what becomes of the student, see :class:`FeatureDiffusion`
    and :class:`SelfDiffusion`.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): Channels L of the autoencoder's
            latent. Defaults to None: no autoencoder, L = C_t.
        zero_init (bool, optional): Whether the denoiser starts by predicting
            nothing, see :func:`resolve_zero_init`. Defaults to None: unless
            the prediction is ``'clean'``.
        normalize (bool | dict): Whether the diffusion model sees the latent
            divided by its root mean square, one number; a dict is the config
            of another scale than :class:`FeatureScale`. Defaults to True.
        diffusion_loss_weight (float): lambda_1 of Eq. 9. Defaults to 1.0.
        schedule (dict, optional): Config of the noise schedule. Defaults to
            :class:`NoiseSchedule`.
        sampler (dict, optional): Config of the sampler. Defaults to
            :class:`DDIMSampler`, 5 steps from t = 400.
        denoiser (dict, optional): Config of the denoiser. Defaults to
            :class:`BottleneckDenoiser`; :class:`MLPDenoiser` for vectors.
        prediction (str): What the denoiser predicts: ``'noise'``,
            ``'clean'``, the sample itself, or ``'velocity'``, see
            :func:`predicted_target`. Defaults to ``'noise'``, as in the
            paper.
        freeze_diffusion (bool): Whether denoiser, autoencoder and scale stay
            as they are, in eval mode, without losses of their own: for a
            diffusion model that is trained already. Defaults to False.
        with_cp (bool): Whether to recompute the denoiser in the backward
            pass, to save memory. Defaults to False.
        compile_denoiser (bool | dict): Whether it is compiled; a dict has
            arguments of ``torch.compile``. Defaults to False.
        seed (int, optional): See :class:`NoiseSource`. Defaults to None.
        **pair: Further arguments of :class:`FeaturePair`: autoencoder, norm,
            sizes and tokens.

    Raises:
        ValueError: If a number is out of range, the prediction unknown or
            without ``zero_init``, or PyTorch does not take the arguments of
            ``compile_denoiser``.
    """

    #: Parts that know the teacher alone.
    PARTS = ('denoiser', 'autoencoder', 'feature_scale')

    # Parts of one's own have the interface of these.
    schedule: NoiseSchedule
    sampler: DDIMSampler

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        zero_init: bool | None = None,
        normalize: bool | Config = True,
        diffusion_loss_weight: float = 1.0,
        schedule: Config | None = None,
        sampler: Config | None = None,
        denoiser: Config | None = None,
        prediction: str = 'noise',
        freeze_diffusion: bool = False,
        with_cp: bool = False,
        compile_denoiser: bool | Config = False,
        seed: int | None = None,
        **pair: Any,
    ) -> None:
        check_not_negative(diffusion_loss_weight=diffusion_loss_weight)
        zero_init = resolve_zero_init(zero_init, prediction)
        noise_source = NoiseSource(seed)
        super().__init__(
            student_channels, teacher_channels, latent_channels, **pair
        )
        self.diffusion_loss_weight = diffusion_loss_weight
        self.prediction = prediction
        self.freeze_diffusion = freeze_diffusion
        self.with_cp = with_cp
        self.noise_source = noise_source
        self.schedule = build(schedule, 'NoiseSchedule')
        # Custom schedules may omit it, `weigh_for` and `loss_weights`.
        if getattr(self.schedule, 'min_snr_gamma', None) is not None:
            self.schedule.weigh_for(prediction)
        self.sampler = build(sampler, 'DDIMSampler', schedule=self.schedule)
        self.denoiser = build(
            denoiser,
            'BottleneckDenoiser',
            channels=self.width,
            num_train_timesteps=self.schedule.num_train_timesteps,
            norm_cfg=self.norm_cfg,
        )
        own_scale = normalize if isinstance(normalize, dict) else None
        self.feature_scale = (
            build(own_scale, 'FeatureScale') if normalize else None
        )
        # Custom denoisers may omit it.
        if zero_init and hasattr(self.denoiser, 'zero_init'):
            self.denoiser.zero_init()
        if freeze_diffusion:
            for part in self.diffusion_parts().values():
                part.requires_grad_(False)
        compiled = compile_arguments('compile_denoiser', compile_denoiser)
        if compiled is not None:
            self.denoiser.compile(**compiled)

    def diffusion_parts(self) -> dict[str, nn.Module]:
        """The :attr:`PARTS` that there are, by name."""
        parts = {name: getattr(self, name) for name in self.PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    def diffusion_settings(self) -> dict[str, Any]:
        """Plain values that decide what the weights of the parts mean."""
        alphas = getattr(self.schedule, 'alphas_cumprod', None)
        return dict(
            teacher_channels=self.teacher_channels,
            width=self.width,
            prediction=self.prediction,
            # Of any schedule: how much of a sample is left at its end.
            last_alpha=None if alphas is None else float(alphas[-1]),
            num_train_timesteps=self.schedule.num_train_timesteps,
            norms=norms_of(nn.ModuleDict(self.diffusion_parts())),
        )

    def train(self, mode: bool = True) -> 'TeacherDiffusion':
        """Set the mode; a frozen diffusion model stays in eval."""
        super().train(mode)
        if self.freeze_diffusion:
            for part in self.diffusion_parts().values():
                part.eval()
        return self

    def teacher_losses(
        self, teacher_feature: Tensor, noise: Noise = None
    ) -> dict[str, Tensor]:
        """Train the diffusion model alone, without any student.

        Args:
            teacher_feature (Tensor): As in :meth:`forward`.
            noise (torch.Generator | NoiseDraw | None): Likewise.

        Returns:
            dict[str, Tensor]: ``loss_diff`` and, with an autoencoder,
            ``loss_ae``; and the statistic ``feature_scale``.
        """
        teacher = self.teacher_map(teacher_feature)
        latent, losses = self.encode(teacher)
        clean, scale = self.normalize(latent)
        draw = self.draw(latent, latent, noise)
        losses['loss_diff'] = self.diffusion_loss(clean, draw)
        return dict(losses, feature_scale=_size(latent, scale))

    def forward(
        self,
        student_feature: Tensor,
        teacher_feature: Tensor,
        noise: Noise = None,
        **options: Any,
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
            **options: Arguments of :meth:`pair`, if it takes any.

        Returns:
            PairedOutput: ``student`` and ``teacher``, the sides of
            :meth:`pair`, both maps of the latent's channels, or vectors for
            vectors; ``losses`` with ``loss_diff`` and, with an autoencoder,
            ``loss_ae``; ``stats`` with ``feature_scale`` (root mean square
            of ``z_t``) and those of :meth:`pair`.

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student, teacher = self.as_maps(student_feature, teacher_feature)
        latent, losses = self.encode(teacher)
        clean, scale = self.normalize(latent)
        target = Target(latent, clean, scale)
        projected = self.project(student)
        draw = self.draw(projected, latent, noise)
        sides, stats = self.pair(projected, target, draw, **options)
        if self.freeze_diffusion:
            losses = {}
        else:
            learned = self.learned(projected, target)
            losses['loss_diff'] = self.diffusion_loss(learned, draw)
        losses.update(self.further_losses(projected, target))
        return PairedOutput(
            self.given_back(student_feature, sides[0]),
            self.given_back(student_feature, sides[1]),
            losses,
            dict(stats, feature_scale=_size(latent, scale)),
        )

    def pair(
        self, projected: Tensor, target: Target, noise: NoiseDraw
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """What is compared with what; for subclasses to say.

        Args:
            projected (Tensor): The student's latent ``z_s``, shape
                (N, L, H, W).
            target (Target): The teacher's.
            noise (NoiseDraw): The random numbers of this iteration.

        Returns:
            tuple: Student side and teacher side, shape (N, L, H, W) each,
            and detached scalars for the log by their names.
        """
        raise NotImplementedError

    def learned(self, projected: Tensor, target: Target) -> Tensor:
        """What the diffusion model learns: the teacher's feature."""
        return target.clean

    def further_losses(
        self, projected: Tensor, target: Target
    ) -> dict[str, Tensor]:
        """Losses of a subclass beside those of the diffusion model."""
        return {}

    def draw(self, student: Tensor, latent: Tensor, noise: Noise) -> NoiseDraw:
        """The random numbers of this iteration, drawn unless given."""
        if not (noise is None or isinstance(noise, torch.Generator)):
            return NoiseDraw(*noise)
        if self.channels_last:
            # The same numbers as without; and PyTorch's generator of a CPU
            # fills its default format 8 times as fast.
            student, latent = (
                torch.empty_like(x, memory_format=torch.contiguous_format)
                for x in (student, latent)
            )
        drawn = self.noise_source.draw(
            student, latent, self.schedule.num_train_timesteps, noise
        )
        return NoiseDraw(
            self.laid_out(drawn.student),
            self.laid_out(drawn.teacher),
            drawn.timesteps,
        )

    def normalize(self, latent: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the diffusion model sees of ``z_t``, and the divisor."""
        if self.feature_scale is None:
            return latent, None
        scale = self.feature_scale(latent).to(latent.dtype)
        return latent / scale, scale

    def diffusion_loss(self, clean: Tensor, noise: NoiseDraw) -> Tensor:
        """Error of the prediction on a diffused clean sample (Eq. 4)."""
        diffused = self.schedule.add_noise(
            clean, noise.teacher, noise.timesteps
        )
        predicted = self.denoise(diffused, noise.timesteps)
        wanted = noise.teacher
        if self.prediction != 'noise':
            wanted = predicted_target(
                self.prediction,
                clean,
                noise.teacher,
                *self.schedule.mix(noise.timesteps, clean),
            )
        weigh = getattr(self.schedule, 'loss_weights', lambda t: None)
        weights = weigh(noise.timesteps)
        more = () if weights is None else (weights,)
        loss = self.squared_error(predicted, wanted, *more)
        return self.diffusion_loss_weight * loss

    def sample(
        self,
        noisy: Tensor,
        guidance: ClassifierGuidance | None = None,
        train_denoiser: bool = True,
        start: Tensor | None = None,
    ) -> Tensor:
        """Run the reverse process (Eq. 5).

        Args:
            noisy (Tensor): Where it starts, shape (N, L, H, W).
            guidance (ClassifierGuidance, optional): Its classifier sees what
                the chain sees, see :meth:`to_teacher`. Defaults to None.
            train_denoiser (bool): Whether a gradient may reach the
                denoiser's parameters; it flows through them in any case.
                Defaults to True.
            start (Tensor, optional): First timestep, see
                :class:`DDIMSampler`. Defaults to None: the sampler's.

        Returns:
            Tensor: Denoised, shape (N, L, H, W), as :meth:`normalize` gives.
        """
        denoiser = self.denoise
        if not train_denoiser:
            parameters = {
                name: p.detach()
                for name, p in self.denoiser.named_parameters()
            }
            denoiser = partial(self.denoise, parameters=parameters)
        if self.prediction != 'noise':
            denoiser = partial(self._noise_by, denoiser)
        # A sampler of one's own need not know of guidance, nor of a start.
        known = dict(guidance=guidance, start=start)
        options = {k: v for k, v in known.items() if v is not None}
        denoised: Tensor = self.sampler(denoiser, noisy, **options)
        return denoised

    def _noise_by(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        timesteps: Tensor,
    ) -> Tensor:
        signal, sigma = self.schedule.mix(timesteps, x)
        output = denoiser(x, timesteps)
        return as_noise(self.prediction, output, x, signal, sigma)

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
        feature: Tensor = decoder(clean)
        return feature

    def denoise(
        self,
        x: Tensor,
        timesteps: Tensor,
        parameters: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Predict, with the denoiser's parameters or with others."""

        def run(x: Tensor, timesteps: Tensor) -> Tensor:
            predicted: Tensor = (
                self.denoiser(x, timesteps)
                if parameters is None
                else functional_call(self.denoiser, parameters, (x, timesteps))
            )
            return predicted

        if self.with_cp and torch.is_grad_enabled():
            return recomputed(run, x, timesteps, module=self.denoiser)
        return run(x, timesteps)


def _size(latent: Tensor, scale: Tensor | None) -> Tensor:
    """Root mean square of ``z_t``, as it was measured, or of this batch."""
    return latent.square().mean().sqrt() if scale is None else scale
