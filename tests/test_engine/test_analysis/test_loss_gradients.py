# Copyright (c) mmdiffkd contributors.
"""Angles between losses, on a real detector."""

import copy

import pytest
import torch
from helpers import toys

from mmdiffkd.engine.analysis.loss_gradients import (
    Pull,
    as_table,
    loss_gradients,
)
from mmdiffkd.utils import UserError


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = toys.build(toys.algorithm())
    model.init_weights()
    return model.train()


def test_the_task_and_every_loss_are_measured_at_every_record(model):
    pulls = loss_gradients(model, [toys.batch(), toys.batch(seed=1)])
    losses = {p.loss for p in pulls}
    assert {p.record for p in pulls} == {'fpn'}
    assert losses == {'task', *model.distiller.distill_losses}
    (task,) = [p for p in pulls if p.loss == 'task']
    assert task.cosine == pytest.approx(1)
    assert all(p.norm > 0 and abs(p.cosine) < 1 + 1e-6 for p in pulls)
    # The diffusion loss does not reach the student: it is not listed.
    assert not [p for p in pulls if 'loss_diff' in p.loss]


def test_a_loss_against_the_task_has_a_cosine_of_minus_one(model):
    """The distiller's loss is the task's own, of the other sign."""
    forward = model.student.forward

    def keep(*args, **kwargs):
        losses = forward(*args, **kwargs)
        model.kept = [
            t
            for v in losses.values()
            for t in (v if isinstance(v, list) else [v])
        ]
        return losses

    model.student.forward = keep
    model.distiller.compute_distill_losses = lambda: dict(
        loss_against=-3 * sum(t.mean() for t in model.kept)
    )
    task, against = loss_gradients(model, [toys.batch()])
    assert against.loss == 'loss_against'
    assert against.cosine == pytest.approx(-1)
    assert against.norm == pytest.approx(3 * task.norm)


def test_nothing_is_trained(model):
    before = copy.deepcopy(dict(model.named_parameters()))
    loss_gradients(model, [toys.batch()])
    for name, parameter in model.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])
    assert 'compute_distill_losses' not in vars(model.distiller)


def test_no_gradient_is_an_error(model):
    with pytest.raises(UserError, match='no loss sends a gradient'):
        loss_gradients(model, [])


def test_the_table_relates_sizes_to_the_tasks():
    table = as_table(
        [Pull('fpn', 'task', 0.5, 1.0), Pull('fpn', 'loss_kd', 2.0, -0.25)]
    )
    assert '4.00x' in table and '-0.25' in table
