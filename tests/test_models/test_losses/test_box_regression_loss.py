# Copyright (c) mmdiffkd contributors.
import pytest
import torch

from mmdiffkd.models import BoxRegressionLoss
from mmdiffkd.utils import UserError


def by_hand(student, teacher, beta):
    """The definition, number by number."""
    total = 0.0
    for s, t in zip(student.flatten().tolist(), teacher.flatten().tolist()):
        x = abs(s - t)
        total += 0.5 * x * x / beta if x < beta else x - 0.5 * beta
    return total / student.numel()


@pytest.mark.parametrize('beta', [0.0, 0.11, 1.0])
@pytest.mark.parametrize('shape', [(6, 12), (2, 36, 3, 4)])
def test_value(beta, shape):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    loss = BoxRegressionLoss(beta=beta, loss_weight=0.2)(student, teacher)
    assert loss.item() == pytest.approx(0.2 * by_hand(student, teacher, beta))


def test_a_class_agnostic_teacher_speaks_for_every_class():
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 12), torch.randn(5, 4)
    loss = BoxRegressionLoss(beta=1.0)(student, teacher)
    assert loss.item() == pytest.approx(
        by_hand(student, torch.cat([teacher] * 3, dim=1), 1.0)
    )


def test_the_teacher_gets_no_gradient():
    student, teacher = torch.ones(2, 3, 4, requires_grad=True).unbind()
    teacher = teacher.detach().requires_grad_()
    BoxRegressionLoss()(student * 2, teacher).backward()
    assert teacher.grad is None


def test_no_rois_give_zero_and_a_gradient():
    student = torch.zeros(0, 12, requires_grad=True)
    loss = BoxRegressionLoss()(student * 1, torch.zeros(0, 4))
    loss.backward()
    assert loss == 0 and student.grad.shape == (0, 12)


@pytest.mark.parametrize(
    'student, teacher, advice',
    [
        ((2, 36, 8, 8), (2, 4, 8, 8), 'same anchors.*diffkd_fpn'),
        ((2, 36, 8, 8), (2, 36, 4, 4), 'same strides'),
        ((512, 320), (1000, 320), 'same RoIs.*student_rois=True'),
        ((512, 320), (512, 80), 'reg_class_agnostic'),
        ((512, 4), (512, 320), 'reg_class_agnostic'),
    ],
)
def test_shapes_that_do_not_fit_are_named(student, teacher, advice):
    with pytest.raises(UserError, match=f'(?s){advice}') as caught:
        BoxRegressionLoss()(torch.zeros(student), torch.zeros(teacher))
    assert str(student) in str(caught.value)
    assert str(teacher) in str(caught.value)


def test_a_negative_beta_is_refused():
    with pytest.raises(UserError, match='beta must not be negative'):
        BoxRegressionLoss(beta=-1)
