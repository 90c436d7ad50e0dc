# Copyright (c) mmdiffkd contributors.
"""How near one feature is to another."""

import torch
from torch import Tensor

MOST = 120.0
"""Decibels that are not exceeded: equal features have no noise at all."""


def cosine(feature: Tensor, target: Tensor) -> float:
    """Cosine of the angle between two features, each as one vector.

    Args:
        feature (Tensor): Of any shape.
        target (Tensor): Of the same.

    Returns:
        float: -1 to 1; 0 where either is zero everywhere.
    """
    a, b = feature.double().flatten(), target.double().flatten()
    return float(torch.dot(a, b) / (a.norm() * b.norm()).clamp(min=1e-300))


def signal_to_noise(feature: Tensor, target: Tensor) -> float:
    """Signal-to-noise ratio of a feature to its target (dB).

    ``10 log10(sum(target^2) / sum((feature - target)^2))``: 0 is what a
    feature of zeros has; below, the feature is farther from the target than
    zeros are.

    Args:
        feature (Tensor): Of any shape.
        target (Tensor): The signal, of the same shape.

    Returns:
        float: In dB, at most :data:`MOST` and at least its negative.
    """
    target = target.double()
    noise = (feature.double() - target).square().sum()
    ratio = target.square().sum() / noise
    return float((10 * ratio.log10()).nan_to_num(0.0).clamp(-MOST, MOST))
