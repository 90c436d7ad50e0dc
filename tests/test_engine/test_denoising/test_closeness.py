# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
import torch

from mmdiffkd.engine.denoising.closeness import (
    MOST,
    cosine,
    signal_to_noise,
)


@pytest.mark.parametrize('shape', [(1, 6, 4, 5), (1, 9, 1, 1)])
def test_both_against_another_formula(shape):
    torch.manual_seed(0)
    feature, target = torch.randn(shape) + 0.3, torch.randn(shape)
    f, g = (x.numpy().astype(np.float64).ravel() for x in (feature, target))
    # Law of cosines, and a ratio of powers.
    found = (f @ f + g @ g - ((f - g) ** 2).sum()) / 2
    assert cosine(feature, target) == pytest.approx(
        found / np.sqrt((f @ f) * (g @ g)), rel=1e-9
    )
    power, noise = np.mean(g**2), np.mean((f - g) ** 2)
    assert 10 ** (signal_to_noise(feature, target) / 10) == pytest.approx(
        power / noise, rel=1e-9
    )


def test_values_that_are_known():
    target = torch.tensor([3.0, 4.0])
    assert signal_to_noise(torch.zeros(2), target) == 0
    assert signal_to_noise(0.9 * target, target) == pytest.approx(20, abs=1e-4)
    assert cosine(-2 * target, target) == pytest.approx(-1)


def test_what_has_no_logarithm_is_still_a_number():
    one, zero = torch.ones(3), torch.zeros(3)
    assert signal_to_noise(one, one) == MOST
    assert signal_to_noise(one, zero) == -MOST
    assert signal_to_noise(zero, zero) == 0
    assert cosine(zero, one) == 0
