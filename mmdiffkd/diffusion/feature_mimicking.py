# Copyright (c) mmdiffkd contributors.
"""DiffKD of one pair of features without its diffusion: the control."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, build, build_norm, conv_norm
from .ddim_sampler import DDIMSampler
from .fade_in import FadeIn
from .feature_layout import RESIZE_MODES, as_map, check_channels, match_size
from .noise_schedule import NoiseSchedule
from .paired_output import PairedOutput


@MODELS.register_module()
class FeatureMimicking(nn.Module):
    """What is left of :class:`FeatureDiffusion` when its denoiser is idle.

    1. Autoencoder, if ``latent_channels`` is given: ``loss_ae``, and ``z_t``,
       the detached latent. Without it, ``z_t = F_t``.
    2. Projection of the student, a 1x1 convolution, and a norm without
       parameters, ``(z - mean) / sqrt(variance + 1)``: ``z_s``.
    3. ``gain * z_s``, in the place of noise matching and chain.
    4. Projection to the units of ``z_t``, a 1x1 convolution, of small weights
       at the start. It is what a distance compares with ``z_t``.

    There is no denoiser, no noise and no diffusion loss. With the defaults it
    equals the tuned recipe of DiffKD with a denoiser that predicts no noise
    and with ``gamma = 1``, in outputs, losses and gradients. The parts
    have the names that they have there, so each reads the other's checkpoint
    with ``strict=False``.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): Channels of the autoencoder's latent.
            Defaults to None: no autoencoder.
        student_norm (bool): Whether a norm ends step 2. Defaults to True.
        projection_norm (bool): Whether a norm ends step 4. Defaults to False.
        output_gain (float): Factor on the initial weights of step 4. It has
            no effect where a norm follows. Defaults to 0.1.
        gain (float, optional): Factor of step 3. Defaults to None:
            :func:`idle_chain_gain` of the default schedule and sampler.
        kd_warmup_iters (int): Iterations in which the gradient of the distance
            rises to its size; see :class:`FadeIn`. Defaults to 0.
        autoencoder_loss_weight (float): Weight of ``loss_ae``. Defaults to
            1.0.
        autoencoder (dict, optional): Config of the autoencoder. Defaults to
            :class:`LinearAutoencoder`.
        norm_cfg (dict): Norm of all parts: BN, SyncBN, GN or IN. Defaults to
            ``dict(type='BN')``.
        resize (str, optional): Mode in which a student map of another height
            or width is resized to the teacher's. Defaults to None: an error.
        token_shape (tuple[int, int], optional): (H, W) of features that are
            tokens (N, L, C). Defaults to None.
        num_class_tokens (int): Leading tokens to drop. Defaults to 0.

    Raises:
        ValueError: If a number is out of range, or ``resize`` is no mode of
            interpolation.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        student_norm: bool = True,
        projection_norm: bool = False,
        output_gain: float = 0.1,
        gain: float | None = None,
        kd_warmup_iters: int = 0,
        autoencoder_loss_weight: float = 1.0,
        autoencoder: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        resize: str | None = None,
        token_shape: tuple[int, int] | None = None,
        num_class_tokens: int = 0,
    ) -> None:
        super().__init__()
        _check_range(
            resize,
            token_shape,
            kd_warmup_iters=kd_warmup_iters,
            num_class_tokens=num_class_tokens,
            autoencoder_loss_weight=autoencoder_loss_weight,
        )
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.autoencoder_loss_weight = autoencoder_loss_weight
        self.gain = idle_chain_gain() if gain is None else gain
        self.resize = resize
        self.token_shape = token_shape
        self.num_class_tokens = num_class_tokens

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
        self.student_norm = (
            build_norm(dict(norm_cfg, eps=1.0), width, affine=False)
            if student_norm
            else nn.Identity()
        )
        self.output_projection = nn.Sequential(
            *conv_norm(width, width, 1, norm_cfg if projection_norm else None)
        )
        with torch.no_grad():
            self.output_projection[0].weight *= output_gain
        self.fade_in = (
            FadeIn(kd_warmup_iters) if kd_warmup_iters else nn.Identity()
        )

    def forward(
        self, student_feature: Tensor, teacher_feature: Tensor
    ) -> PairedOutput:
        """Bring the student feature into the space of the teacher's.

        Args:
            student_feature (Tensor): A map (N, C_s, H, W), tokens (N, L, C_s)
                or a vector (N, C_s).
            teacher_feature (Tensor): Likewise with C_t; it is detached.

        Returns:
            PairedOutput: ``student``, projected, and ``teacher``, ``z_t``
            detached, both maps of the latent's channels, or vectors for
            vectors; ``losses`` with ``loss_ae`` if there is an autoencoder.

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student = self._as_map(student_feature, 'student')
        teacher = self._as_map(teacher_feature, 'teacher')
        student = match_size(student, teacher, self.resize)
        latent, losses = self._encode(teacher.detach())

        projected = self.student_norm(self.student_projection(student))
        output = self.output_projection(self.gain * projected.to(student))
        # Sums of squares over a map overflow in half precision.
        output = self.fade_in(output.to(latent.dtype))
        if student_feature.dim() == 2:
            output, latent = output.flatten(1), latent.flatten(1)
        return PairedOutput(output, latent, losses)

    def _as_map(self, feature: Tensor, side: str) -> Tensor:
        """Shape (N, C, H, W), float32 or better."""
        x = as_map(feature, side, self.token_shape, self.num_class_tokens)
        check_channels(x, getattr(self, f'{side}_channels'), side)
        return x.to(torch.promote_types(x.dtype, torch.float32))

    def _encode(self, teacher: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if self.autoencoder is None:
            return teacher, {}
        latent, reconstruction = self.autoencoder(teacher)
        loss = F.mse_loss(reconstruction, teacher)
        return (
            latent.detach().to(teacher.dtype),
            dict(loss_ae=self.autoencoder_loss_weight * loss),
        )

    def extra_repr(self) -> str:
        return f'gain={self.gain:.4g}'


def idle_chain_gain(sampler: DDIMSampler | None = None) -> float:
    """What a DDIM chain multiplies by when no noise is predicted.

    Eq. 12 of the DDIM paper then leaves ``x' = sqrt(a_prev / a_t) * x`` of
    each step, and the product over the chain is ``1 / sqrt(a_t)`` at its
    first timestep: 2.27 from t = 400, where the chain starts by default.

    Args:
        sampler (DDIMSampler, optional): The chain. Defaults to None: five
            steps from t = 400.

    Returns:
        float: The factor.
    """
    sampler = sampler or DDIMSampler(NoiseSchedule())
    return sampler.alphas[0] ** -0.5


def _check_range(
    resize: str | None,
    token_shape: tuple[int, int] | None,
    **numbers: float,
) -> None:
    if resize not in (None, *RESIZE_MODES):
        raise ValueError(
            f'resize must be None or one of {list(RESIZE_MODES)}, '
            f'got {resize!r}'
        )
    if token_shape is not None and min(token_shape) < 1:
        raise ValueError(
            f'token_shape must be (H, W) of at least (1, 1), got {token_shape}'
        )
    for name, value in numbers.items():
        if value < 0:
            raise ValueError(f'{name} must not be negative, got {value}')
