# Copyright (c) mmdiffkd contributors.
import math

import numpy as np
import pytest
import torch

from mmdiffkd.models import DISTLoss
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


def mmrazor_loss(*args, **options):
    return MODELS.get('mmrazor.DISTLoss')(*args, **options)


def literal(y_s, y_t):
    """``(inter, intra)`` of probabilities by NumPy, row after row."""

    def relation(a, b):
        return 1 - np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b)])

    y_s, y_t = y_s.numpy(), y_t.numpy()
    return relation(y_s, y_t), relation(y_s.T, y_t.T)


def logits(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, *shape, generator=generator, dtype=dtype)


def test_values_by_hand():
    """Two instances, three classes, probabilities in tenths."""
    student = torch.tensor([[6, 3, 1], [2, 2, 6]], dtype=torch.float64)
    teacher = torch.tensor([[8, 1, 1], [1, 6, 3]], dtype=torch.float64)
    # Deviations from the means 10/3: times 3, row by row.
    first = (8 * 14 + (-1) * (-7) + (-7) * (-7)) / math.sqrt(
        (64 + 1 + 49) * (196 + 49 + 49)
    )
    second = ((-4) * (-7) + (-4) * 8 + 8 * (-1)) / math.sqrt(
        (16 + 16 + 64) * (49 + 64 + 1)
    )
    # Two numbers correlate by +1 or -1: classes 0 and 1 fall and rise ...
    inter, intra = 1 - (first + second) / 2, 1 - (1 - 1 + 1) / 3
    student, teacher = (student / 10).log(), (teacher / 10).log()
    for weights, expected in (
        ((1, 0), inter),
        ((0, 1), intra),
        ((2, 3), 2 * inter + 3 * intra),
    ):
        assert DISTLoss(*weights)(student, teacher).item() == pytest.approx(
            expected, abs=1e-5
        )


@pytest.mark.parametrize('tau', [1.0, 4.0])
def test_a_map_is_a_batch_of_pixels(tau):
    student, teacher = logits(2, 5, 3, 4)
    pixels = [
        torch.stack(
            [
                x[n, :, i, j]
                for n in range(2)
                for i in range(3)
                for j in range(4)
            ]
        )
        for x in (student, teacher)
    ]
    inter, intra = literal(*[(x / tau).softmax(1) for x in pixels])
    loss = DISTLoss(2.0, 3.0, tau=tau, loss_weight=0.5)
    assert loss(student, teacher).item() == pytest.approx(
        0.5 * tau**2 * (2 * inter + 3 * intra), rel=1e-5
    )
    assert loss(*pixels).item() == pytest.approx(
        loss(student, teacher).item(), rel=1e-9
    )


def test_it_is_mmrazors_for_vectors_and_not_for_maps():
    student, teacher = logits(6, 10)
    ours, razor = DISTLoss(tau=4.0), mmrazor_loss(tau=4.0)
    torch.testing.assert_close(ours(student, teacher), razor(student, teacher))
    # One image: MMRazor correlates one number a pixel, which is nothing.
    student, teacher = logits(1, 10, 4, 4)
    only_intra = dict(inter_loss_weight=0.0)
    assert mmrazor_loss(**only_intra)(student, teacher).item() == 1.0
    assert DISTLoss(**only_intra)(teacher, teacher).item() == pytest.approx(
        0.0, abs=1e-4
    )


def test_without_tau_square():
    student, teacher = logits(6, 10)
    assert DISTLoss(tau=4.0)(student, teacher).item() == pytest.approx(
        16 * DISTLoss(tau=4.0, tau_square=False)(student, teacher).item()
    )


def test_anchors_are_instances_and_classes_are_independent():
    """A map of 3 anchors x 4 classes, as RetinaNet's head predicts it."""
    student, teacher = logits(2, 12, 2, 3)
    rows = [
        torch.stack(
            [
                x[n, 4 * a : 4 * a + 4, i, j]
                for n in range(2)
                for i in range(2)
                for j in range(3)
                for a in range(3)
            ]
        ).sigmoid()
        for x in (student, teacher)
    ]
    loss = DISTLoss(activation='sigmoid', num_classes=4)
    assert loss(student, teacher).item() == pytest.approx(
        sum(literal(*rows)), rel=1e-5
    )


def test_the_teacher_is_detached():
    student, teacher = (x.requires_grad_() for x in logits(4, 5).unbind())
    DISTLoss()(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@pytest.mark.parametrize('shape', [(1, 5), (1, 5, 1, 1)])
def test_one_instance_has_no_intra_class_term(shape):
    student, teacher = logits(*shape)
    student.requires_grad_()
    loss = DISTLoss(inter_loss_weight=2.0)(student, teacher)
    both = [x.detach().softmax(1).flatten(1) for x in (student, teacher)]
    expected = 2 * (1 - np.corrcoef(*[x[0].numpy() for x in both])[0, 1])
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('shape', [(0, 5), (3, 1), (3, 5)])
def test_constant_predictions_stay_finite(shape, dtype):
    """Zero variance on both sides, then on one."""
    for teacher in (torch.zeros(shape), logits(*shape)[1]):
        student = torch.zeros(shape, dtype=dtype, requires_grad=True)
        loss = DISTLoss(activation='sigmoid' if shape[1] == 1 else 'softmax')(
            student, teacher.to(dtype)
        )
        loss.backward()
        assert loss.isfinite() and student.grad.isfinite().all()
    one_hot = torch.eye(5)[:3].mul(1e4).requires_grad_()
    loss = DISTLoss()(one_hot, -one_hot)
    loss.backward()
    assert loss.isfinite() and one_hot.grad.isfinite().all()


def test_a_prediction_of_nothing_is_no_division_by_zero():
    """A classifier that starts at zero."""
    student = torch.zeros(8, 10, requires_grad=True)
    teacher = 5 * logits(8, 10, dtype=torch.float32)[1]
    sizes = []
    for loss in (DISTLoss(), mmrazor_loss()):
        value = loss(student, teacher)
        (gradient,) = torch.autograd.grad(value, student)
        assert value.item() == 2.0
        sizes.append(gradient.abs().max().item())
    assert sizes[0] == 0 and sizes[1] > 1e4


def test_half_precision_is_computed_in_single():
    student, teacher = logits(8, 100, dtype=torch.float16) * 0.01
    exact = DISTLoss()(student.double(), teacher.double())
    assert DISTLoss()(student, teacher).item() == pytest.approx(
        exact.item(), rel=1e-3
    )
    assert mmrazor_loss()(student, teacher).isnan()


@pytest.mark.parametrize(
    'shapes, message',
    [
        (((4, 5), (4, 6)), r'\(4, 5\), the teacher of \(4, 6\)'),
        (((2, 5, 4, 4), (2, 5, 8, 8)), 'resize'),
        (((2, 5, 4), (2, 5, 4)), r'expected \(N, C\) or'),
        (((2, 7, 4, 4), (2, 7, 4, 4)), 'no multiple of num_classes=4'),
        (((2, 1, 4, 4), (2, 1, 4, 4)), "one channel.*activation='sigmoid'"),
    ],
)
def test_wrong_shapes_are_refused(shapes, message):
    loss = DISTLoss(num_classes=4 if 'multiple' in message else None)
    with pytest.raises(UserError, match=message):
        loss(*map(torch.zeros, shapes))


@pytest.mark.parametrize(
    'options', [dict(tau=0), dict(activation='relu'), dict(num_classes=0)]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match=next(iter(options))):
        MODELS.build(dict(type='mmdiffkd.DISTLoss', **options))
