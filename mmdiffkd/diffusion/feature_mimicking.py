# Copyright (c) mmdiffkd contributors.
"""DiffKD of one pair of features without its diffusion: the control."""

from typing import Any

from torch import Tensor

from mmdiffkd.registry import MODELS

from .compared_student import ComparedStudent
from .ddim_sampler import DDIMSampler
from .noise_schedule import NoiseSchedule
from .paired_output import PairedOutput


@MODELS.register_module()
class FeatureMimicking(ComparedStudent):
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
        **pair: Further arguments of :class:`FeaturePair`: autoencoder, norm,
            sizes and tokens.

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
        **pair: Any,
    ) -> None:
        super().__init__(
            student_channels, teacher_channels, latent_channels, **pair
        )
        self.gain = idle_chain_gain() if gain is None else gain
        self.surround(
            student_norm, projection_norm, output_gain, kd_warmup_iters
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
        student, teacher = self.as_maps(student_feature, teacher_feature)
        latent, losses = self.encode(teacher)
        output = self.to_target(self.gain * self.project(student), latent)
        return PairedOutput(
            self.given_back(student_feature, output),
            self.given_back(student_feature, latent),
            losses,
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
    return float(sampler.alphas[0] ** -0.5)
