# Copyright (c) mmdiffkd contributors.
"""Losses and their gradients in units of the task's."""

import math

import pytest
import torch

from mmdiffkd.engine.first_iteration.loss_sizes import (
    LossSize,
    gradients,
    likely_causes,
    loss_sizes,
    outsized,
)


def total(value):
    return value if isinstance(value, torch.Tensor) else sum(value)


def features():
    """Two levels, and a record that the task does not use."""
    torch.manual_seed(0)
    shapes = dict(fpn=[(2, 3, 4, 4), (2, 3, 2, 2)], side=[(2, 3)])
    return {
        name: [torch.randn(s, requires_grad=True) for s in several]
        for name, several in shapes.items()
    }


@pytest.mark.parametrize('weight', [0.5, 3e4])
def test_ratios_are_those_of_norms(weight):
    """The gradient of w/2 |x|^2 is w x, that of a sum is one."""
    f = features()
    p3, p4 = f['fpn']
    losses = {
        'student.loss_cls': [p3.sum(), p4.sum()],
        'student.acc': torch.tensor(50.0),
        'distill.loss_kd_p3': weight * p3.pow(2).sum() / 2,
        'distill.diff_p3.loss_diff': torch.tensor(2.0, requires_grad=True),
        'distill.diff_p3.gamma_mean': torch.tensor(1e9),
    }
    kd, diff = loss_sizes(losses, f, total)
    task = (p3.sum() + p4.sum()).item()
    assert (kd.name, kd.record) == ('distill.loss_kd_p3', 'fpn')
    # Against the task at all levels: at one alone it may have nothing to do.
    expected = weight * p3.norm().item() / math.sqrt(p3.numel() + p4.numel())
    assert kd.gradient == pytest.approx(expected, rel=1e-5)
    assert kd.task == pytest.approx(task, rel=1e-5)
    assert kd.ratio == pytest.approx(
        abs(weight * p3.pow(2).sum().item() / 2 / task), rel=1e-4
    )
    assert kd.outsized == (weight > 1)
    assert (diff.gradient, diff.value, diff.record) == (0.0, 2.0, '')


def test_a_record_beside_the_task_is_no_comparison():
    f = features()
    losses = {
        'student.loss': f['fpn'][0].sum(),
        'distill.loss_side': 1e6 * f['side'][0].sum(),
    }
    (side,) = loss_sizes(losses, f, total)
    assert side.gradient == 0.0 and side.outsized


def test_half_precision_keeps_small_and_large_gradients():
    for weight in (1e-6, 1e2):
        x = torch.ones(4, 4, dtype=torch.float16, requires_grad=True)
        losses = {
            'student.loss': (x.float() * weight).sum(),
            'distill.loss': (x.float() * weight * 2).sum(),
        }
        (size,) = loss_sizes(losses, dict(f=[x]), total)
        assert size.gradient == pytest.approx(2.0, rel=0.05), weight


@pytest.mark.parametrize(
    'value, gradient, told',
    [
        (99.0, 99.0, False),
        (100.0, 1.0, True),
        (1.0, 100.0, True),
        (float('inf'), 1.0, True),
        (float('nan'), 1.0, True),
        (-5.0, 0.0, False),
    ],
)
def test_from_a_factor_of_a_hundred_on(value, gradient, told):
    size = LossSize('distill.loss_kd', value, 1.0, gradient, 'fpn')
    assert bool(outsized([size])) == told == size.outsized


def test_the_causes_name_the_size_of_both_sides():
    text = ' '.join(likely_causes(dict(teacher=1e7, student=0.5)))
    assert '1e+07' in text and '0.5' in text


def test_a_task_of_zero():
    assert LossSize('a', 1.0, 0.0, 0.0, '').outsized
    assert not LossSize('a', 0.0, 0.0, 0.0, '').outsized
    (text,) = outsized([LossSize('a', 1.0, 0.0, 0.0, '')])
    assert text == 'a: 1, while the task loss is 0'


def test_gradients_that_overflow_in_half_precision_are_taken_unscaled():
    feature = torch.ones(4, dtype=torch.float16, requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    found = gradients((feature * 2.0**-20).sum().float(), [feature, other])
    assert (found[0] == 2.0**-20).all() and found[1] is None
    (large,) = gradients((feature * 1000).sum().float(), [feature])
    assert (large == 1000).all()


def test_a_head_that_begins_at_zero_is_no_comparison():
    """MMPretrain's VisionTransformerClsHead does; its features get nothing."""
    f = features()
    p3 = f['fpn'][0]
    losses = {
        'student.loss': (0.0 * p3).sum() + 1.0,
        'distill.loss_kd': p3.pow(2).mean(),
    }
    (size,) = loss_sizes(losses, f, total)
    assert size.gradient == 0.0 and not outsized([size])


@pytest.mark.parametrize('value, told', [(3e4, False), (math.nan, True)])
def test_distillation_without_a_task(value, told):
    """``calculate_student_loss=False``: nothing to compare with."""
    f = features()
    losses = {'distill.loss_kd': value * f['fpn'][0].pow(2).mean()}
    (size,) = loss_sizes(losses, f, total)
    assert size.task is None and bool(outsized([size])) == told
    assert 'task' not in ' '.join(outsized([size]))


def test_a_gradient_of_nan_is_told():
    """The loss is finite, its gradient at equal features is not."""
    f = features()
    p3, p4 = f['fpn']
    losses = {
        'student.loss': p3.sum() + p4.sum(),
        'distill.loss_kd': (p3 - p3.detach()).norm(dim=1).pow(2).sqrt().sum(),
    }
    (size,) = loss_sizes(losses, f, total)
    assert size.value == 0.0 and math.isnan(size.gradient)
    assert 'nan times' in outsized([size])[0]
