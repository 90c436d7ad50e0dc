# Copyright (c) mmdiffkd contributors.
import math

import pytest
import torch

from mmdiffkd.models import DKDLoss, KLDivergence
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


def mmrazor_loss(*args, **options):
    return MODELS.get('mmrazor.DKDLoss')(*args, **options)


LABELS = torch.tensor([3, 0, 9, 5, 5, 1])


def softmax(z, tau):
    e = [math.exp(float(v) / tau) for v in z]
    return [v / sum(e) for v in e]


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q))


def literal(student, teacher, label, tau, alpha, beta):
    """One instance, by the probabilities of the paper's Eq. 7."""
    p, q = softmax(teacher, tau), softmax(student, tau)
    tckd = kl([p[label], 1 - p[label]], [q[label], 1 - q[label]])
    nckd = kl(
        [v / (1 - p[label]) for i, v in enumerate(p) if i != label],
        [v / (1 - q[label]) for i, v in enumerate(q) if i != label],
    )
    return tau**2 * (alpha * tckd + beta * nckd)


def test_values_by_hand():
    """Label 0; teacher (1/2, 1/4, 1/4), student (1/4, 1/4, 1/2)."""
    student = torch.tensor([[1.0, 1.0, 2.0]]).log()
    teacher = torch.tensor([[2.0, 1.0, 1.0]]).log()
    label = torch.tensor([0])
    tckd = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    nckd = 0.5 * math.log(3 / 2) + 0.5 * math.log(3 / 4)
    assert DKDLoss(beta=0)(student, teacher, label).item() == pytest.approx(
        tckd, rel=1e-6
    )
    assert DKDLoss(alpha=0)(student, teacher, label).item() == pytest.approx(
        nckd, rel=1e-6
    )


@pytest.mark.parametrize('tau', [1.0, 4.0])
def test_it_equals_the_literal_formula_and_mmrazors_batchmean(tau):
    student, teacher = torch.randn(2, 6, 10, dtype=torch.float64)
    value = DKDLoss(tau, alpha=1.0, beta=8.0, loss_weight=0.5)(
        student, teacher, LABELS
    )
    expected = (
        sum(
            literal(s, t, int(label), tau, 1.0, 8.0)
            for s, t, label in zip(student, teacher, LABELS)
        )
        / 6
    )
    assert value.item() == pytest.approx(0.5 * expected, rel=1e-9)
    razor = mmrazor_loss(tau, alpha=1.0, beta=8.0, loss_weight=0.5)
    assert razor(student, teacher, LABELS).item() == pytest.approx(
        value.item(), rel=1e-6
    )


def test_mmrazors_mean_is_a_sum():
    student, teacher = torch.randn(2, 6, 10, dtype=torch.float64)
    with pytest.warns(UserWarning, match='size_average'):
        razor = mmrazor_loss(reduction='mean')(student, teacher, LABELS)
    assert razor.item() == pytest.approx(
        6 * DKDLoss()(student, teacher, LABELS).item()
    )


def test_decoupled_parts_make_up_the_divergence():
    """KL = TCKD + (1 - p_label) * NCKD, for equal labels p."""
    student, teacher = torch.randn(2, 1, 10, dtype=torch.float64)
    label = torch.tensor([2])
    share = 1 - teacher.softmax(1)[0, 2].item()
    torch.testing.assert_close(
        DKDLoss(beta=share)(student, teacher, label),
        KLDivergence()(student, teacher),
    )


@pytest.mark.parametrize('size', [50.0, 300.0, 1e4, 1e30])
def test_extreme_logits_stay_finite(size):
    """Confident and wrong, on both sides."""
    student, teacher = torch.zeros(2, 2, 10).unbind()
    student = student.index_fill(1, torch.tensor([1]), size).requires_grad_()
    teacher = teacher.index_fill(1, torch.tensor([7]), size)
    for label in (1, 7, 3):
        loss = DKDLoss()(student, teacher, torch.tensor([label] * 2))
        (gradient,) = torch.autograd.grad(loss, student)
        assert loss.isfinite() and gradient.isfinite().all()
    if size >= 300:
        razor = mmrazor_loss()(student, teacher, torch.tensor([7, 7]))
        assert not razor.isfinite()


def test_the_label_is_left_out_however_certain():
    """MMRazor subtracts 1000 from its logit instead."""
    student, teacher = torch.zeros(2, 1, 4).unbind()
    student[0, 0] = 1200.0  # the others agree with the teacher
    label, nckd = torch.tensor([0]), dict(alpha=0.0)
    assert DKDLoss(**nckd)(student, teacher, label).item() == 0
    assert mmrazor_loss(**nckd)(student, teacher, label).isnan()


def test_a_mixed_image_counts_for_its_larger_part():
    student, teacher = torch.randn(2, 6, 10)
    shares = 0.7 * torch.eye(10)[LABELS] + 0.3 * torch.eye(10)[[7] * 6]
    expected = DKDLoss()(student, teacher, LABELS)
    assert torch.equal(DKDLoss()(student, teacher, shares), expected)
    assert torch.equal(DKDLoss()(student, teacher, LABELS[:, None]), expected)
    one_hot = torch.eye(10, dtype=torch.bool)[LABELS]
    assert torch.equal(DKDLoss()(student, teacher, one_hot), expected)


def test_the_teacher_is_detached():
    student, teacher = torch.randn(2, 6, 10).unbind()
    student.requires_grad_(), teacher.requires_grad_()
    DKDLoss()(student, teacher, LABELS).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'student, teacher, labels, message',
    [
        ((6, 10), (6, 100), LABELS, r'\(6, 10\), the teacher of \(6, 100\)'),
        ((6, 10, 2, 2), (6, 10, 2, 2), LABELS, 'takes logits of shape'),
        ((6, 10), (6, 10), LABELS[:4], '6 class indices'),
        ((6, 10), (6, 10), torch.zeros(6, 7), r'shares of shape \(6, 10\)'),
        ((6, 10), (6, 10), LABELS > 3, '6 class indices'),
    ],
)
def test_mistakes_are_refused(student, teacher, labels, message):
    loss = MODELS.build(dict(type='mmdiffkd.DKDLoss'))
    with pytest.raises(UserError, match=message):
        loss(torch.zeros(student), torch.zeros(teacher), labels)


def test_standardized_logits_are_z_scores_over_the_classes():
    student, teacher = 3 + 5 * torch.randn(2, 6, 10, dtype=torch.float64)
    scores = [
        (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0)
        for x in (student, teacher)
    ]
    value = DKDLoss(2.0, beta=8.0, standardize=True)(student, teacher, LABELS)
    expected = sum(
        literal(s, t, label, 2.0, 1.0, 8.0)
        for s, t, label in zip(*scores, LABELS.tolist())
    )
    assert value.item() == pytest.approx(expected / 6, rel=1e-6)
