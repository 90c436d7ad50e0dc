# Copyright (c) mmdiffkd contributors.
"""DiffKD of one pair of features, composed from its parts."""

from typing import Any

from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import Config, build
from .compared_student import ComparedStudent
from .feature_pair import check_not_negative
from .noise_source import NoiseDraw
from .recipes import resolve_recipe
from .target import Target
from .teacher_diffusion import TeacherDiffusion


@MODELS.register_module()
class FeatureDiffusion(ComparedStudent, TeacherDiffusion):
    r"""Denoise a student feature with a diffusion model of the teacher's.

    1. Autoencoder E, D, if ``latent_channels`` is given (Eq. 6):
       ``loss_ae`` is the mean squared error of :math:`D(E(F^{tea}))`, and
       :math:`z^{tea} = E(F^{tea})`, detached, ``z_t`` below. Without it,
       :math:`z^{tea} = F^{tea}`.
    2. Projection of the student, a 1x1 convolution, and in the tuned recipe a
       norm without parameters, :math:`(z - \mu) / \sqrt{\sigma^2 + 1}`:
       :math:`z^{stu}`, ``z_s`` below.
    3. Noise matching (Eq. 8):
       :math:`x = \gamma\, z^{stu} + (1 - \gamma)\, \epsilon`.
    4. DDIM chain (Eq. 5) from :math:`x` to the denoised feature.
    5. Projection of the denoised feature to the units of :math:`z^{tea}`, a
       1x1 convolution, and a norm in the released recipe. It is what a
       distance compares with :math:`z^{tea}` (Eq. 7).
    6. Diffusion loss (Eq. 4) on the teacher alone, with t uniform over all
       timesteps. ``loss_diff`` is 1.0 where nothing is predicted:

       .. math::
           L_{diff} = \Vert \Phi(\sqrt{a_t}\, z^{tea}
           + \sqrt{1 - a_t}\, \epsilon,\, t) - \epsilon \Vert^2

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
            nothing. By no noise the chain multiplies its input by 2.27, by
            no velocity by 0.85; by a clean sample of 0 it would end at 0,
            without a gradient to the student, so the recipe's choice does
            not hold where the prediction is ``'clean'``.
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
        noise_matching (dict, optional): Config of the noise matching.
            Defaults to :class:`AdaptiveNoiseMatching`;
            :class:`StudentNoiseLevel` starts the chain where the student is.
        output_projection (bool): Whether there is a step 5. Without it the
            denoised feature itself, times the scale of ``z_t``, is compared,
            as in Eq. 7: for a diffusion model that has been trained before.
            Defaults to True.
        direct_loss_weight (float): Weight of the squared error between
            ``z_s`` and ``z_t``, both in the diffusion model's units, beside
            the distance behind the chain; logged as ``loss_direct``. Defaults
            to 0.
        **shared: Further arguments of :class:`TeacherDiffusion`, and of
            :class:`FeaturePair` behind it: parts of the diffusion model,
            weights of the losses, norm, sizes and tokens.

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
        normalize: bool | Config | None = None,
        kd_grad_to_denoiser: bool | None = None,
        kd_warmup_iters: int = 0,
        noise_matching: Config | None = None,
        output_projection: bool = True,
        direct_loss_weight: float = 0.0,
        **shared: Any,
    ) -> None:
        check_not_negative(direct_loss_weight=direct_loss_weight)
        chosen = resolve_recipe(
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
            # The recipe's True, unlike the user's, gives way to a prediction.
            zero_init=zero_init if chosen['zero_init'] else False,
            normalize=chosen['normalize'],
            **shared,
        )
        self.direct_loss_weight = direct_loss_weight
        self.kd_grad_to_denoiser = chosen['kd_grad_to_denoiser']
        self.noise_matching = build(
            noise_matching,
            'AdaptiveNoiseMatching',
            channels=self.width,
            spatial=getattr(self.denoiser, 'spatial', True),
            initial_gamma=chosen['initial_gamma'],
            norm_cfg=self.norm_cfg,
        )
        self.surround(
            chosen['student_norm'],
            chosen['projection_norm'],
            chosen['output_gain'],
            kd_warmup_iters,
            output_projection,
        )

    def pair(
        self, projected: Tensor, target: Target, noise: NoiseDraw
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """Steps 3 to 5.

        Args:
            projected (Tensor): ``z_s``, shape (N, L, H, W).
            target (Target): The teacher's feature.
            noise (NoiseDraw): The random numbers of this iteration.

        Returns:
            tuple: The denoised student and ``z_t``, shape (N, L, H, W) each,
            and ``gamma_mean``, the share of the student that noise matching
            keeps; with :class:`StudentNoiseLevel` also ``start_timestep``.
        """
        # One that measures the student against the teacher says where the
        # chain starts.
        start_of = getattr(self.noise_matching, 'start', None)
        beside = () if start_of is None else (target.clean,)
        noisy, gamma = self.noise_matching(projected, noise.student, *beside)
        start = None if start_of is None else start_of(self.schedule)
        stats = (
            {} if start is None else dict(start_timestep=start.float().mean())
        )
        denoised = self.sample(
            noisy, train_denoiser=self.kd_grad_to_denoiser, start=start
        )
        output = self.in_units_of(denoised, target)
        stats['gamma_mean'] = gamma.detach().mean()
        return (output, target.latent), stats

    def in_units_of(self, denoised: Tensor, target: Target) -> Tensor:
        """Step 5."""
        if isinstance(self.output_projection, nn.Identity) and (
            target.scale is not None
        ):
            denoised = denoised * target.scale
        return self.to_target(denoised, target.latent)

    def further_losses(
        self, projected: Tensor, target: Target
    ) -> dict[str, Tensor]:
        """``loss_direct``, if it has a weight."""
        if not self.direct_loss_weight:
            return {}
        error = self.squared_error(projected, target.clean)
        return dict(loss_direct=self.direct_loss_weight * error)
