# Copyright (c) mmdiffkd contributors.
"""Teacher, connectors and distances ask no tensor for a value and mix no
devices, as far as fake tensors tell, which have no values."""

import contextlib

import pytest
import torch
from helpers import task_toys
from helpers.fakes import move
from mmengine.registry import DefaultScope
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
)

from mmdiffkd.diffusion import FeatureDiffusion, NoiseDraw, NoiseSource
from mmdiffkd.models.losses import (
    AttentionMSELoss,
    BoxRegressionLoss,
    DISTLoss,
    DKDLoss,
    KLDivergence,
    LSHFeatureLoss,
)

MAP, LOGITS = (2, 8, 6, 5), (4, 8)

DISTANCES = {
    'DIST': (DISTLoss(), MAP),
    'DIST of logits': (DISTLoss(tau=2.0), LOGITS),
    'DKD': (DKDLoss(), LOGITS),
    'KL': (KLDivergence(standardize=True), LOGITS),
    'KL of maps': (KLDivergence(), MAP),
    'attention': (AttentionMSELoss(), MAP),
    'boxes': (BoxRegressionLoss(), MAP),
    'LSH': (LSHFeatureLoss(8, num_hashes=16, std=1.0), MAP),
}


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
@pytest.mark.parametrize('name', DISTANCES)
def test_a_distance_waits_for_no_value(name, device):
    loss, shape = DISTANCES[name]
    mode = FakeTensorMode()
    loss = type(loss)(8, num_hashes=16, std=1.0) if name == 'LSH' else loss
    move(loss, mode, device)
    with mode:
        sides = [
            torch.empty(shape, device=device, requires_grad=i == 0)
            for i in range(2)
        ]
        if name == 'DKD':
            sides.append(torch.empty(4, dtype=torch.long, device=device))
        found = loss(*sides)
        assert found.device.type == device
        if device == 'cpu':  # the backward pass would ask for a real GPU
            found.backward()


@pytest.fixture
def given_noise(monkeypatch):
    """Noise from outside: there is no generator on a GPU that is absent."""

    def draw(self, student, teacher, num_train_timesteps, generator=None):
        steps = torch.zeros(len(teacher), device=teacher.device)
        return NoiseDraw(student * 0, teacher * 0, steps.long())

    monkeypatch.setattr(NoiseSource, 'draw', draw)


@contextlib.contextmanager
def small_model(task):
    """A distillation that has seen a batch, which is the second thing.

    The teacher follows its first pass, to leave out what no record needs, and
    that pass looks at values.
    """
    with DefaultScope.overwrite_default_scope(task_toys.SCOPES[task]):
        model = task_toys.build(task, task_toys.algorithm(task)).train()
        data = model.data_preprocessor(task_toys.batch(task), True)
        model(**data, mode='loss')
        yield model, data


def losses_on(model, data, mode, device):
    """The distiller's losses, those of the student left out: it assigns."""
    for part in (model.student, model.teacher, model.distiller):
        move(part, mode, device)
    with mode:
        images = torch.empty(data['inputs'].shape, device=device)
        if model.teacher_input is not None:
            move(model.teacher_input, mode, device)
        model._run_teacher(images, data['data_samples'])
        with model.distiller.student_recorders:
            model.student(images, data['data_samples'], mode='tensor')
        return model.distiller.compute_distill_losses()


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_the_way_through_teacher_and_distiller_waits_for_no_value(task):
    mode = FakeTensorMode()
    with small_model(task) as (model, data):
        losses = losses_on(model, data, mode, 'cpu')
        with mode:
            sum(v for k, v in losses.items() if 'loss' in k).backward()


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_that_way_stays_on_its_device(task, given_noise):
    with small_model(task) as (model, data):
        losses = losses_on(model, data, FakeTensorMode(), 'cuda')
    assert {value.device.type for value in losses.values()} == {'cuda'}


def test_a_wait_on_that_way_is_found(monkeypatch):
    project = FeatureDiffusion.project

    def waiting(self, student):
        assert bool((student == student).all())
        return project(self, student)

    with small_model('seg') as (model, data):
        monkeypatch.setattr(FeatureDiffusion, 'project', waiting)
        with pytest.raises(DataDependentOutputException):
            losses_on(model, data, FakeTensorMode(), 'cpu')
