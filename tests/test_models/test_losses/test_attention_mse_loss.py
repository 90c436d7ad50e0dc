# Copyright (c) mmdiffkd contributors.
import math

import pytest
import torch
import torch.nn.functional as F

from mmdiffkd.models import AttentionMSELoss
from mmdiffkd.utils import UserError


def literal(student, teacher, temperature):
    """The same, one position after another."""
    n, c, h, w = teacher.shape
    std = math.sqrt(float((teacher**2).mean()))
    total = 0.0
    for image in range(n):
        exponents = [
            math.exp(
                sum(abs(float(v)) for v in teacher[image, :, y, x])
                / c
                / std
                / temperature
            )
            for y in range(h)
            for x in range(w)
        ]
        for i, e in enumerate(exponents):
            weight = h * w * e / sum(exponents)
            difference = (
                student[image, :, i // w, i % w]
                - teacher[image, :, i // w, i % w]
            )
            total += weight * float((difference**2).mean())
    return total / (n * h * w)


def test_it_equals_the_literal_formula():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 3, 2, 4, dtype=torch.float64)
    loss = AttentionMSELoss(temperature=0.5, loss_weight=3.0)
    assert float(loss(student, 7 * teacher)) == pytest.approx(
        3 * literal(student, 7 * teacher, 0.5), rel=1e-10
    )


def test_even_attention_is_the_plain_mean_squared_error():
    student, teacher = torch.randn(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    torch.testing.assert_close(
        AttentionMSELoss()(student, teacher), F.mse_loss(student, teacher)
    )


def test_an_error_on_an_active_position_costs_more():
    teacher = torch.zeros(1, 2, 2, 2)
    teacher[..., 0, 0] = 5.0
    on, off = teacher.clone(), teacher.clone()
    on[..., 0, 0] += 1
    off[..., 1, 1] += 1
    loss = AttentionMSELoss()
    assert loss(on, teacher) > 2 * loss(off, teacher)


def test_no_gradient_reaches_the_teacher():
    student = torch.randn(1, 2, 3, 3, requires_grad=True)
    teacher = torch.randn(1, 2, 3, 3, requires_grad=True)
    AttentionMSELoss()(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match='temperature must be positive'):
        AttentionMSELoss(temperature=0)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_not_rounded_further(dtype):
    """Errors of 300 overflow in float16 when squared."""
    torch.manual_seed(0)
    student = torch.randn(1, 4, 9, 11).to(dtype)
    teacher = (300 * torch.randn(1, 4, 9, 11)).to(dtype)
    ours = AttentionMSELoss()(student, teacher)
    assert ours.dtype == torch.float32
    assert float(ours) == pytest.approx(
        literal(student.double(), teacher.double(), 0.5), rel=1e-5
    )


@pytest.mark.parametrize(
    'shape', [(1, 3, 4, 4), (2, 1, 4, 4), (2, 3, 4, 5), (2, 3)]
)
def test_shapes_are_not_broadcast(shape):
    with pytest.raises(UserError, match=r'\(2, 3, 4, 4\) of the teacher'):
        AttentionMSELoss()(torch.randn(shape), torch.randn(2, 3, 4, 4))
