# Copyright (c) mmdiffkd contributors.
"""The forward diffusion process."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS


@MODELS.register_module()
class NoiseSchedule(nn.Module):
    r"""Variance-preserving forward process with linear betas (Eq. 2 and 3).

    .. math:: z_t = \sqrt{a_t}\, z_0 + \sqrt{1 - a_t}\, \epsilon

    where :math:`a_t = \prod_{s \le t} (1 - \beta_s)` is written
    :math:`\bar\alpha_t` in the papers.

    The tables are computed in float64 and kept out of the state dict. They
    survive ``half()`` and autocast: rounding ``a_0 = 0.9999`` to 1 would
    divide by zero later.

    Args:
        num_train_timesteps (int): T, number of timesteps. Defaults to 1000.
        beta_start (float): beta at t = 0. Defaults to 1e-4.
        beta_end (float): beta at t = T - 1. Defaults to 0.02.
        min_snr_gamma (float, optional): Weighs the diffusion loss of timestep
            t so that the error of the clean sample counts
            ``min(SNR_t, min_snr_gamma)`` times, with
            :math:`\mathrm{SNR}_t = a_t / (1 - a_t)` (min-SNR weighting, Hang
            et al. 2023), see :meth:`weigh_for`. Less noisy samples, whose
            noise is hardest to see, count less where noise is predicted.
            Defaults to None: all alike, as in the paper.

    Attributes:
        alphas_cumprod (Tensor): ``a_t``, float64 on the CPU, shape (T,).
        levels (Tensor): The same on the device of the module.
    """

    _mix: Tensor
    levels: Tensor
    _loss_weights: Tensor | None

    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        min_snr_gamma: float | None = None,
    ) -> None:
        super().__init__()
        if num_train_timesteps < 1 or not 0 < beta_start <= beta_end < 1:
            raise ValueError(
                'NoiseSchedule needs num_train_timesteps >= 1 and '
                '0 < beta_start <= beta_end < 1, got num_train_timesteps='
                f'{num_train_timesteps}, beta_start={beta_start}, '
                f'beta_end={beta_end}'
            )
        if min_snr_gamma is not None and min_snr_gamma <= 0:
            raise ValueError(
                'NoiseSchedule: min_snr_gamma must be positive, '
                f'got {min_snr_gamma}'
            )
        self.num_train_timesteps = num_train_timesteps
        betas = torch.linspace(
            beta_start, beta_end, num_train_timesteps, dtype=torch.float64
        )
        self.alphas_cumprod = torch.cumprod(1 - betas, dim=0)
        self.register_buffer('_mix', self._exact_mix(), persistent=False)
        self.register_buffer('levels', self.alphas_cumprod, persistent=False)
        self.min_snr_gamma = min_snr_gamma
        self.weigh_for('noise')

    def weigh_for(self, prediction: str) -> None:
        """Set the weights of the loss to those of what is predicted.

        With c = ``min(SNR_t, min_snr_gamma)`` they are ``c / SNR_t`` for
        ``'noise'``, c for ``'clean'`` and ``c / (SNR_t + 1)`` for
        ``'velocity'``, divided by their mean over t.

        Args:
            prediction (str): See :func:`predicted_target`.
        """
        weights = None
        if self.min_snr_gamma is not None:
            snr = self.alphas_cumprod / (1 - self.alphas_cumprod)
            weights = snr.clamp(max=self.min_snr_gamma)
            if prediction != 'clean':
                weights = weights / (snr if prediction == 'noise' else snr + 1)
            weights = (weights / weights.mean()).float()
            weights = weights.to(self._mix.device)
        self.register_buffer('_loss_weights', weights, persistent=False)

    def _exact_mix(self) -> Tensor:
        """Columns ``sqrt(a_t)`` and ``sqrt(1 - a_t)``, shape (T, 2)."""
        return torch.stack(
            [self.alphas_cumprod, 1 - self.alphas_cumprod], dim=1
        ).sqrt()

    def _apply(
        self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any
    ) -> 'NoiseSchedule':
        """Follow the module to its device, but never to its dtype."""
        nn.Module._apply(self, fn, *args, **kwargs)
        device = self._mix.device
        exact = dict(_mix=self._exact_mix(), levels=self.alphas_cumprod)
        for name, table in exact.items():
            # Apple's GPUs know no float64.
            table = table.float() if device.type == 'mps' else table
            setattr(self, name, table.to(device))
        return self

    def add_noise(
        self, sample: Tensor, noise: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Diffuse clean samples to the given timesteps (Eq. 3).

        Args:
            sample (Tensor): Clean ``z_0``, shape (N, ...).
            noise (Tensor): ``eps``, same shape.
            timesteps (Tensor): Integer t in [0, T), shape (N,).

        Returns:
            Tensor: ``z_t``, same shape; float32 for half precision input.
        """
        dtype = torch.promote_types(sample.dtype, torch.float32)
        signal, sigma = self.mix(timesteps, sample)
        return (signal * sample.to(dtype)).addcmul_(sigma, noise.to(dtype))

    def mix(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of sample and noise at some timesteps.

        Args:
            timesteps (Tensor): Integer t in [0, T), shape (N,) or (1,).
            like (Tensor): A sample (N, ...), which they are to multiply.

        Returns:
            tuple[Tensor, Tensor]: ``sqrt(a_t)`` and ``sqrt(1 - a_t)``, shape
            (N, 1, ...), in float32 or more.
        """
        dtype = torch.promote_types(like.dtype, torch.float32)
        mix = self._mix[timesteps].to(dtype)
        shape = (-1,) + (1,) * (like.dim() - 1)
        return mix[:, 0].view(shape), mix[:, 1].view(shape)

    def loss_weights(self, timesteps: Tensor) -> Tensor | None:
        """Weights of the diffusion loss, of mean 1 over all timesteps.

        Args:
            timesteps (Tensor): Integer t in [0, T), shape (N,).

        Returns:
            Tensor | None: Shape (N,); None where all weigh alike.
        """
        if self._loss_weights is None:
            return None
        return self._loss_weights[timesteps]

    def extra_repr(self) -> str:
        return f'num_train_timesteps={self.num_train_timesteps}'
