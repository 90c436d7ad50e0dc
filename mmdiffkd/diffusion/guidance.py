# Copyright (c) mmdiffkd contributors.
"""Classifier guidance of the reverse process."""

from collections.abc import Callable

import torch
from torch import Tensor


class ClassifierGuidance:
    r"""Steer the predicted noise towards what a classifier expects.

    .. math::
        \hat\epsilon = \epsilon - \sqrt{1 - a_t}\, s\,
        \nabla_x \log p(y \mid \hat x_0), \qquad
        \hat x_0 = (x_t - \sqrt{1 - a_t}\, \epsilon) / \sqrt{a_t}

    as in the guidance of Dhariwal and Nichol, but with the classifier looking
    at :math:`\hat x_0`, so that it need not know noisy features.

    The gradient is that of :math:`\hat x_0` with :math:`\epsilon` held
    fixed, :math:`\nabla_x = \nabla_{x_0} / \sqrt{a_t}`. Guidance then moves
    :math:`\hat x_0` along :math:`\nabla_{x_0}` itself, by
    :math:`s (1 - a_t) / a_t` times its length, hence uphill for every s that
    is small enough: certainly for :math:`s (1 - a_t) / a_t < 2 / L`, where L
    is the Lipschitz constant of :math:`\nabla_{x_0}` (at most
    :math:`\Vert W \Vert^2 / 2` for a softmax of :math:`W x_0`). The gradient
    through the denoiser, the other reading of the formula, would cost a
    backward pass of the denoiser in every step and promise no ascent.

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
