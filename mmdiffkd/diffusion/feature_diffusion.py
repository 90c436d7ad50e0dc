# Copyright (c) mmdiffkd contributors.
"""DiffKD of one pair of features, composed from its parts."""

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, build, build_norm, conv_norm
from .fade_in import FadeIn
from .guidance import ClassifierGuidance
from .paired_output import PairedOutput
from .recipes import resolve_recipe
from .teacher_diffusion import Noise, TeacherDiffusion


@MODELS.register_module()
class FeatureDiffusion(TeacherDiffusion):
    """Denoise a student feature with a diffusion model of the teacher's.

    1. Autoencoder, if ``latent_channels`` is given (Eq. 6):
       ``loss_ae = mse(decode(encode(F_t)), F_t)``, and ``z_t = encode(F_t)``,
       detached. Without it, ``z_t = F_t``.
    2. Projection of the student, a 1x1 convolution, and in the tuned recipe a
       norm without parameters, ``(z - mean) / sqrt(variance + 1)``: ``z_s``.
    3. Noise matching (Eq. 8): ``x = gamma * z_s + (1 - gamma) * eps``.
    4. DDIM chain (Eq. 5) from ``x`` to the denoised feature.
    5. Projection of the denoised feature to the units of ``z_t``, a 1x1
       convolution, and a norm in the released recipe. It is what a distance
       compares with ``z_t`` (Eq. 7).
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
        recipe (str): Values of the seven arguments that follow, where they are
            None. ``'released'`` is the paper's published code, ``'tuned'``
            what trains best in short schedules. Defaults to ``'released'``;
            the connector and the configs choose ``'tuned'``.
        zero_init (bool, optional): Whether the denoiser starts by predicting
            no noise.
        student_norm (bool, optional): Whether a norm ends step 2.
        projection_norm (bool, optional): Whether a norm ends step 5. Without
            either norm SGD can diverge on features of large deviation.
        output_gain (float, optional): Factor on the initial weights of
            step 5. It has no effect where a norm follows.
        initial_gamma (float, optional): gamma at the start of training;
            random weights give about 0.5.
        normalize (bool | dict, optional): Whether ``z_t`` is divided by its
            root mean square, one number, in front of the denoiser; a dict is
            the config of another scale than :class:`FeatureScale`.
        kd_grad_to_denoiser (bool, optional): Whether the distance trains the
            denoiser's weights too. It flows through them in any case.
        kd_warmup_iters (int): Iterations in which the gradient of the distance
            rises to its size, while the diffusion model learns; see
            :class:`FadeIn`. Defaults to 0, as in the paper.
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
        ValueError: If the recipe is unknown, or a number is out of range.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        recipe: str = 'released',
        zero_init: bool | None = None,
        student_norm: bool | None = None,
        projection_norm: bool | None = None,
        output_gain: float | None = None,
        initial_gamma: float | None = None,
        normalize: bool | dict | None = None,
        kd_grad_to_denoiser: bool | None = None,
        kd_warmup_iters: int = 0,
        diffusion_loss_weight: float = 1.0,
        autoencoder_loss_weight: float = 1.0,
        schedule: dict | None = None,
        sampler: dict | None = None,
        denoiser: dict | None = None,
        noise_matching: dict | None = None,
        autoencoder: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        resize: str | None = None,
        token_shape: tuple[int, int] | None = None,
        num_class_tokens: int = 0,
        with_cp: bool = False,
        seed: int | None = None,
    ) -> None:
        options = resolve_recipe(
            recipe,
            zero_init=zero_init,
            student_norm=student_norm,
            projection_norm=projection_norm,
            output_gain=output_gain,
            initial_gamma=initial_gamma,
            normalize=normalize,
            kd_grad_to_denoiser=kd_grad_to_denoiser,
        )
        super().__init__(
            student_channels,
            teacher_channels,
            latent_channels,
            zero_init=options['zero_init'],
            normalize=options['normalize'],
            diffusion_loss_weight=diffusion_loss_weight,
            autoencoder_loss_weight=autoencoder_loss_weight,
            schedule=schedule,
            sampler=sampler,
            denoiser=denoiser,
            autoencoder=autoencoder,
            norm_cfg=norm_cfg,
            resize=resize,
            token_shape=token_shape,
            num_class_tokens=num_class_tokens,
            with_cp=with_cp,
            seed=seed,
        )
        self.kd_grad_to_denoiser = options['kd_grad_to_denoiser']
        if kd_warmup_iters < 0:
            raise ValueError(
                f'kd_warmup_iters must not be negative, got {kd_warmup_iters}'
            )
        self.fade_in = (
            FadeIn(kd_warmup_iters) if kd_warmup_iters else (nn.Identity())
        )
        self.noise_matching = build(
            noise_matching,
            'AdaptiveNoiseMatching',
            channels=self.width,
            spatial=getattr(self.denoiser, 'spatial', True),
            initial_gamma=options['initial_gamma'],
            norm_cfg=norm_cfg,
        )
        # With 1 added to the variance it brings large features to unit
        # variance and leaves small ones small. Those of a student at its
        # start hold little but noise; blown up, it drowns the student's task.
        self.student_norm = (
            build_norm(dict(norm_cfg, eps=1.0), self.width, affine=False)
            if options['student_norm']
            else nn.Identity()
        )
        self.output_projection = nn.Sequential(
            *conv_norm(
                self.width,
                self.width,
                1,
                norm_cfg if options['projection_norm'] else None,
            )
        )
        with torch.no_grad():
            self.output_projection[0].weight *= options['output_gain']

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
            noise (torch.Generator | NoiseDraw | None): Where the random
                numbers come from: a generator, or the numbers themselves,
                of the latent's shape. Defaults to None: a generator of this
                module's own, different on every rank.
            guidance (ClassifierGuidance, optional): Steers the chain; its
                classifier sees teacher features (N, C_t, H, W). Not part of
                DiffKD. Defaults to None.

        Returns:
            PairedOutput: ``student``, denoised and projected, and ``teacher``,
            ``z_t`` detached, both maps of the latent's channels, or vectors
            for vectors; ``losses`` with ``loss_diff`` and, with an
            autoencoder, ``loss_ae``; ``stats`` with ``gamma_mean`` (share of
            the student that noise matching keeps) and ``feature_scale``
            (root mean square of ``z_t``).

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student, teacher = self.as_maps(student_feature, teacher_feature)
        latent, losses = self.encode(teacher)
        clean, scale = self.normalize(latent)
        projected = self.student_norm(self.project(student)).to(student.dtype)
        noise = self.draw(projected, latent, noise)

        noisy, gamma = self.noise_matching(projected, noise.student)
        denoised = self.sample(
            noisy, scale, guidance, self.kd_grad_to_denoiser
        )
        # Sums of squares over a map overflow in half precision.
        output = self.output_projection(denoised).to(latent.dtype)
        output = self.fade_in(output)

        losses['loss_diff'] = self.diffusion_loss(clean, noise)
        if scale is None:
            scale = latent.square().mean().sqrt()
        stats = dict(gamma_mean=gamma.detach().mean(), feature_scale=scale)
        if student_feature.dim() == 2:
            output, latent = output.flatten(1), latent.flatten(1)
        return PairedOutput(output, latent, losses, stats)
