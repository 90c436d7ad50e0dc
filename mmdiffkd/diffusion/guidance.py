# Copyright (c) mmdiffkd contributors.
"""Classifier guidance of the reverse process."""

from collections.abc import Callable

import torch
from torch import Tensor


class ClassifierGuidance:
    """Steer the predicted noise towards what a classifier expects.

    ``eps_hat = eps - sqrt(1 - a_t) * s * grad_x log p(y | x0_hat)`` with
    ``x0_hat = (x_t - sqrt(1 - a_t) * eps) / sqrt(a_t)``, as in the guidance
    of Dhariwal and Nichol, but with the classifier looking at ``x0_hat``,
    so that it need not know noisy features.

    The gradient is that of ``x0_hat`` with ``eps`` held fixed:
    ``grad_x = grad_x0 / sqrt(a_t)``. Guidance then moves ``x0_hat`` along
    ``grad_x0`` itself, by ``s * (1 - a_t) / a_t`` times its length, hence
    uphill for every s that is small enough: certainly for
    ``s * (1 - a_t) / a_t < 2 / L``, where L is the Lipschitz constant of
    ``grad_x0`` (at most ``norm(W)^2 / 2`` for a softmax of ``W x0``). The
    gradient through the denoiser, the other reading of the formula, would
    cost a backward pass of the denoiser in every step and promise no ascent.

    The correction carries no gradient of its own. It is computed in float32
    at least, whatever autocast says, and also under ``no_grad``.

    Args:
        log_prob (Callable): ``log_prob(x0)`` gives ``log p(y | x0)`` of each
            sample, shape (N,), for ``x0`` of shape (N, C, H, W).
        scale (float): s, not negative; 0 changes nothing and calls nothing.
            Defaults to 1.0.

    Attributes:
        value (Tensor | None): Mean of ``log p(y | x0_hat)`` at the last
            guided step, in front of its guidance.

    Raises:
        ValueError: If the scale is negative or no number.
    """

    def __init__(
        self, log_prob: Callable[[Tensor], Tensor], scale: float = 1.0
    ) -> None:
        if not 0 <= scale < float('inf'):
            raise ValueError(
                'the scale of guidance must be a finite number, '
                f'0 or larger, got {scale}'
            )
        self.log_prob = log_prob
        self.scale = scale
        self.value: Tensor | None = None

    def behind(
        self, transform: Callable[[Tensor], Tensor]
    ) -> 'ClassifierGuidance':
        """The same guidance for samples that ``transform`` maps to x0."""
        return ClassifierGuidance(
            lambda x: self.log_prob(transform(x)), self.scale
        )

    def __call__(self, x: Tensor, noise: Tensor, alpha: float) -> Tensor:
        """Correct a noise prediction.

        Args:
            x (Tensor): Noisy sample ``x_t``, shape (N, C, H, W).
            noise (Tensor): Predicted noise ``eps``, same shape.
            alpha (float): ``a_t``.

        Returns:
            Tensor: ``eps_hat``, same shape.

        Raises:
            ValueError: If ``log_prob`` does not return one number a sample.
        """
        if self.scale == 0:
            return noise
        signal, sigma = alpha**0.5, (1 - alpha) ** 0.5
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
            clean = (
                torch.sub(
                    x.detach().to(dtype), noise.detach().to(dtype), alpha=sigma
                )
                / signal
            )
            clean.requires_grad_()
            value = self.log_prob(clean)
            if value.shape != x.shape[:1]:
                raise ValueError(
                    'log_prob must return one number a sample, shape '
                    f'{tuple(x.shape[:1])}, got {tuple(value.shape)}'
                )
            (gradient,) = torch.autograd.grad(value.sum(), clean)
        self.value = value.detach().mean()
        return torch.sub(noise, gradient, alpha=self.scale * sigma / signal)
