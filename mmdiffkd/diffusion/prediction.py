# Copyright (c) mmdiffkd contributors.
"""What a denoiser predicts: the noise, the clean sample, or the velocity."""

import torch
from torch import Tensor

PREDICTIONS = ('noise', 'clean', 'velocity')


def predicted_target(
    prediction: str,
    clean: Tensor,
    noise: Tensor,
    signal: Tensor,
    sigma: Tensor,
) -> Tensor:
    r"""What the denoiser should say of a diffused sample (Eq. 3).

    .. math:: z_t = \sqrt{a_t}\, z_0 + \sqrt{1 - a_t}\, \epsilon

    * ``'noise'``: :math:`\epsilon`, as in DiffKD (Eq. 4).
    * ``'clean'``: :math:`z_0`.
    * ``'velocity'``: :math:`\sqrt{a_t}\, \epsilon - \sqrt{1 - a_t}\, z_0`
      (progressive distillation, Salimans and Ho 2022).

    Where ``z_0`` has unit variance, a prediction of nothing costs a mean
    squared error of 1 in each case.

    Args:
        prediction (str): One of :data:`PREDICTIONS`.
        clean (Tensor): ``z_0``, shape (N, C, H, W).
        noise (Tensor): ``eps``, same shape.
        signal (Tensor): ``sqrt(a_t)``, of a shape that broadcasts.
        sigma (Tensor): ``sqrt(1 - a_t)``, likewise.

    Returns:
        Tensor: Shape (N, C, H, W).
    """
    if prediction == 'noise':
        return noise
    if prediction == 'clean':
        return clean
    return signal * noise - sigma * clean


def as_noise(
    prediction: str, output: Tensor, x: Tensor, signal: Tensor, sigma: Tensor
) -> Tensor:
    """The noise in ``z_t`` by what the denoiser says, for the sampler.

    Args:
        prediction (str): One of :data:`PREDICTIONS`.
        output (Tensor): Of the denoiser, shape (N, C, H, W).
        x (Tensor): ``z_t``, same shape.
        signal (Tensor): ``sqrt(a_t)``, of a shape that broadcasts.
        sigma (Tensor): ``sqrt(1 - a_t)``, likewise, not 0.

    Returns:
        Tensor: ``eps``, same shape.
    """
    if prediction == 'noise':
        return output
    if prediction == 'clean':
        return (x - signal * output) / sigma
    return torch.addcmul(signal * output, sigma, x)


def resolve_zero_init(zero_init: bool | None, prediction: str) -> bool:
    """Whether a denoiser starts by predicting nothing.

    Where it predicts the clean sample, nothing would be the end of every
    chain, whatever the student, which then gets no gradient.

    Args:
        zero_init (bool, optional): What is asked for. Defaults to None: where
            the prediction allows it.
        prediction (str): One of :data:`PREDICTIONS`.

    Returns:
        bool: The answer.

    Raises:
        ValueError: If it is asked for and not possible, or the prediction
            is unknown.
    """
    check_prediction(prediction)
    if zero_init and prediction == 'clean':
        raise ValueError(
            "zero_init=True does not go with prediction='clean': a chain "
            'whose denoiser predicts 0 ends at 0, without a gradient to the '
            'student; leave zero_init out'
        )
    return prediction != 'clean' if zero_init is None else zero_init


def check_prediction(prediction: str) -> None:
    """Raise ValueError unless it is one of :data:`PREDICTIONS`."""
    if prediction not in PREDICTIONS:
        raise ValueError(
            f'prediction must be one of {list(PREDICTIONS)}, '
            f'got {prediction!r}'
        )
