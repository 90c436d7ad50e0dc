# Copyright (c) mmdiffkd contributors.
"""Estimated steps beside real ones, and beside PyTorch's own counters."""

import copy
import gc
from pathlib import Path

import pytest
import torch
from helpers import task_toys
from helpers.allocator import memory_of
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.engine.estimate.costs import estimate
from mmdiffkd.engine.estimate.models import build
from mmdiffkd.engine.estimate.step import PARTS, Studio, parts_of
from mmdiffkd.engine.sweep.batches import batch, pad_to
from mmdiffkd.utils.configs.loading import load_config

ROOT = Path(__file__).parents[3]
CASES = {
    'det': ('configs/demo/bccd_diffkd.py', (192, 256), 'student.bbox_head'),
    'seg': ('configs/demo/camvid_diffkd.py', (96, 128), 'student.decode_head'),
    'cls': ('configs/demo/cifar10_diffkd.py', (32, 32), None),
}


class RealStep:
    """The same step with real tensors, of MMEngine's own doing."""

    def __init__(self, model, cfg, count, size):
        self.model = model.train()
        self.scope = cfg.default_scope
        with DefaultScope.overwrite_default_scope(self.scope):
            pad_to(model.data_preprocessor, size)
            data = batch(model.student, size, count)
            self.data = model.data_preprocessor(data, True)
            wrapper = dict(cfg.optim_wrapper, type='OptimWrapper')
            self.optimizer = build_optim_wrapper(model, wrapper).optimizer

    def forward(self):
        with DefaultScope.overwrite_default_scope(self.scope):
            return self.model.parse_losses(
                self.model(**self.data, mode='loss')
            )[0]

    def backward(self, loss):
        loss.backward()
        del loss
        self.optimizer.step()
        self.optimizer.zero_grad()

    def resident(self):
        """Bytes of weights, optimizer state and input."""
        tensors = [self.data['inputs']]
        for part in parts_of(self.model).values():
            tensors += [*part.parameters(), *part.buffers()]
        for state in self.optimizer.state.values():
            tensors += [v for v in state.values() if torch.is_tensor(v)]
        return sum(t.numel() * t.element_size() for t in tensors)


@pytest.mark.parametrize('task', CASES)
def test_an_estimated_step_keeps_what_a_real_step_keeps(task):
    path, size, asked = CASES[task]
    count = 2 if task != 'cls' else 16
    model, cfg = build(load_config(str(ROOT / path)))
    real = RealStep(model, cfg, count, size)
    real.backward(real.forward())
    gc.collect()
    kept, most = memory_of(real.forward, real.backward)
    resident = real.resident()
    with FlopCounterMode(display=False) as counter:
        real.backward(real.forward())
    step = Studio(model, cfg, block=1).step(count, size)
    # Weights, which are easy, are left out of what is compared.
    after = sum(step.after_forward.values()) - resident
    assert after == pytest.approx(kept, rel=0.1)
    assert step.peak - resident == pytest.approx(most, rel=0.1)
    counted = counter.get_total_flops() // 2
    assert sum(step.multiply_adds.values()) == pytest.approx(counted, rel=0.01)
    assert (
        any(name.startswith(asked) for name in step.real)
        if asked
        else (not step.real)
    )
    assert sum(step.at_peak.values()) == step.peak


def toy(task='seg', **connector):
    return Config(
        dict(
            default_scope=task_toys.SCOPES[task],
            model=task_toys.algorithm(task, **connector),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1, momentum=0.9)
            ),
        )
    )


def test_parts_have_their_parameters_and_their_state():
    model, cfg = build(toy())
    sizes = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in parts_of(model).items()
    }
    step = Studio(model, cfg, block=1).step(2, (64, 64))
    assert step.parameters == sizes
    for name in PARTS:
        trained = name != 'teacher'
        state = step.at_peak[name, 'optimizer']
        assert state == (4 * step.trained[name] if trained else 0)
        assert step.at_peak[name, 'weights'] >= 4 * sizes[name]
    assert step.multiply_adds['teacher', 'forward'] > 0
    assert step.multiply_adds['teacher', 'backward'] == 0
    assert step.multiply_adds['student', 'backward'] > (
        1.5 * step.multiply_adds['student', 'forward']
    )


def test_a_student_alone_has_no_other_part():
    model, cfg = build(toy())
    studio = Studio(model, cfg)
    alone = studio.step(2, (64, 64), alone=True)
    whole = studio.step(2, (64, 64))
    assert list(alone.parameters) == ['student']
    assert alone.peak < whole.peak
    for name in ('forward', 'backward'):
        assert (
            alone.multiply_adds['student', name]
            == (whole.multiply_adds['student', name])
        )


@pytest.mark.slow
def test_cheaper_settings_are_cheaper_where_they_should_be():
    found = estimate(toy('det'), 2, (64, 64), gpu_memory=1)
    rows = found['settings']
    assert {'with_cp', 'latent_channels / 2', 'all of them'} <= set(rows)
    assert rows['with_cp']['per_image'] < found['per_image']
    assert rows['with_cp']['multiply_adds'] > found['multiply_adds']
    assert found['student_alone']['per_image'] < found['per_image']
    assert found['times_floor'] > 1


@pytest.mark.slow
def test_the_largest_batch_fits_and_one_image_more_does_not():
    memory = 0.25
    model, cfg = build(toy('cls'))
    found = estimate(toy('cls'), 8, (64, 64), memory, settings=False)
    largest = found['largest_batch']
    assert largest > 8
    studio = Studio(model, cfg)
    limit = memory * 2**30 * 0.9
    assert studio.step(largest, (64, 64)).peak <= 1.02 * limit
    assert studio.step(largest + largest // 10, (64, 64)).peak > limit


def test_nothing_is_left_behind_in_the_model():
    model, cfg = build(toy('det'))
    before = copy.copy(vars(model))
    torch_copy = torch.Tensor.__deepcopy__
    Studio(model, cfg).step(2, (64, 64))
    assert vars(model).keys() == before.keys()
    assert torch.Tensor.__deepcopy__ is torch_copy
    for part in parts_of(model).values():
        for module in part.modules():
            assert 'forward' not in vars(module)
    for manager in (
        model.distiller.student_recorders,
        model.distiller.teacher_recorders,
    ):
        assert manager.recorders
