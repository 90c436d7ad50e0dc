# Copyright (c) mmdiffkd contributors.
import math

import pytest
import torch

from mmdiffkd.models import KLDivergence
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


def mmrazor_loss(*args, **options):
    return MODELS.get('mmrazor.KLDivergence')(*args, **options)


def literal(student, teacher, tau):
    """``tau**2 * sum p (log p - log q)`` of two lists of logits."""

    def probabilities(z):
        e = [math.exp(float(v) / tau) for v in z]
        return [v / sum(e) for v in e]

    p, q = probabilities(teacher), probabilities(student)
    return tau**2 * sum(a * math.log(a / b) for a, b in zip(p, q))


def test_value_by_hand():
    """Teacher (1/2, 1/2), student (1/4, 3/4)."""
    student = torch.tensor([[1.0, 3.0]]).log()
    value = KLDivergence(loss_weight=2.0)(student, torch.zeros(1, 2))
    assert value.item() == pytest.approx(
        2 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)), rel=1e-6
    )


def test_vectors_as_in_mmrazor():
    student, teacher = torch.randn(2, 6, 10, dtype=torch.float64)
    loss = KLDivergence(tau=4.0)(student, teacher)
    torch.testing.assert_close(loss, mmrazor_loss(tau=4.0)(student, teacher))
    assert loss.item() == pytest.approx(
        sum(literal(s, t, 4.0) for s, t in zip(student, teacher)) / 6
    )


def test_maps_are_averaged_over_pixels():
    """MMRazor's is height times width as large."""
    student, teacher = torch.randn(2, 2, 5, 3, 4, dtype=torch.float64)
    loss = KLDivergence(tau=2.0)(student, teacher)
    pixels = [(n, i, j) for n in range(2) for i in range(3) for j in range(4)]
    assert loss.item() == pytest.approx(
        sum(
            literal(student[n, :, i, j], teacher[n, :, i, j], 2.0)
            for n, i, j in pixels
        )
        / len(pixels)
    )
    razor = mmrazor_loss(tau=2.0)(student, teacher)
    assert razor.item() == pytest.approx(3 * 4 * loss.item())


def z_score(logits):
    mean = sum(logits) / len(logits)
    variance = sum((v - mean) ** 2 for v in logits) / len(logits)
    return [(v - mean) / math.sqrt(variance + 1e-7) for v in logits]


@pytest.mark.parametrize('shape', [(6, 10), (2, 10, 1, 3)])
def test_standardized_logits_are_z_scores_over_the_classes(shape):
    student, teacher = 3 + 5 * torch.randn(2, *shape, dtype=torch.float64)
    loss = KLDivergence(tau=2.0, loss_weight=9.0, standardize=True)
    rows = [
        x.movedim(1, -1).reshape(6, 10).tolist() for x in (student, teacher)
    ]
    expected = sum(literal(z_score(s), z_score(t), 2.0) for s, t in zip(*rows))
    assert loss(student, teacher).item() == pytest.approx(9 * expected / 6)
    # Neither shift nor size of the student's logits matter any more.
    again = loss(100 * student + 7, teacher)
    assert again.item() == pytest.approx(9 * expected / 6, rel=1e-5)


def test_equal_logits_have_no_z_score_and_yet_a_gradient():
    student = torch.zeros(3, 5, requires_grad=True)
    loss = KLDivergence(standardize=True)(student, torch.randn(3, 5))
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


def test_the_teacher_is_detached():
    student, teacher = torch.randn(2, 4, 5).unbind()
    student.requires_grad_(), teacher.requires_grad_()
    KLDivergence()(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@pytest.mark.parametrize('shape', [(0, 5), (3, 5)])
def test_extreme_and_absent_predictions_stay_finite(shape):
    student = torch.zeros(shape)
    student[:, 0] = 1e4
    student.requires_grad_()
    loss = KLDivergence()(student, -student)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


def test_mistakes_are_refused():
    loss = MODELS.build(dict(type='mmdiffkd.KLDivergence'))
    with pytest.raises(UserError, match=r'\(4, 5\), the teacher of \(4, 6\)'):
        loss(torch.zeros(4, 5), torch.zeros(4, 6))
    with pytest.raises(UserError, match="one channel.*activation='sigmoid'"):
        loss(torch.zeros(4, 1), torch.zeros(4, 1))
    with pytest.raises(UserError, match='tau must be positive'):
        KLDivergence(tau=0)
