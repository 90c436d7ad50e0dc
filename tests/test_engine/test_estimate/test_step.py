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
from mmdiffkd.engine.estimate.not_counted import not_counted
from mmdiffkd.engine.estimate.step import PARTS, Studio, parts_of
from mmdiffkd.engine.multiply_adds import OURS
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
        for group in self.optimizer.param_groups:
            group['lr'] = 0.0  # random weights may diverge

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


class Compared:
    """A step of a config, real and estimated, in bytes.

    Weights and the optimizer's state, which are easy, are left out.
    """

    def __init__(self, path, size, count):
        model, cfg = build(load_config(str(ROOT / path)))
        real = RealStep(model, cfg, count, size)
        real.backward(real.forward())
        gc.collect()
        self.kept, self.peak = memory_of(real.forward, real.backward)
        resident = real.resident()
        counter = FlopCounterMode(display=False, custom_mapping=OURS)
        with counter:
            real.backward(real.forward())
        self.counted = counter.get_total_flops() // 2
        self.step = Studio(model, cfg, block=1).step(count, size)
        after = sum(self.step.after_forward.values())
        self.estimated_kept = after - resident
        self.estimated_peak = self.step.peak - resident

    def check(self):
        assert self.estimated_kept == pytest.approx(self.kept, rel=0.1)
        assert self.estimated_peak == pytest.approx(self.peak, rel=0.1)
        estimated = sum(self.step.multiply_adds.values())
        assert estimated == pytest.approx(self.counted, rel=0.01)
        assert sum(self.step.at_peak.values()) == self.step.peak


@pytest.mark.parametrize('task', CASES)
def test_an_estimated_step_keeps_what_a_real_step_keeps(task):
    path, size, asked = CASES[task]
    compared = Compared(path, size, 2 if task != 'cls' else 16)
    compared.check()
    real = compared.step.real
    assert any(name.startswith(asked) for name in real) if asked else not real


PAIRS = [
    ('det/diffkd_retina_r101_r50', (256, 384), 1),
    ('det/diffkd_faster_rcnn_r101_r50', (192, 256), 1),
    ('seg/diffkd_deeplabv3_r101_deeplabv3_r18', (128, 128), 2),
    ('cls/diffkd_r34_r18_b1_in1k', (160, 160), 8),
    ('det/diffkd_gfl_r101_r50', (192, 320), 3),
    ('seg/diffkd_segformer_b2_b0', (128, 192), 2),
    ('cls/diffkd_r50_mobilenet-v1_b1_in1k', (96, 128), 5),
]


@pytest.mark.slow
@pytest.mark.parametrize('path, size, count', PAIRS, ids=lambda v: str(v))
def test_pairs_of_the_papers(path, size, count):
    """The table of docs/en/performance.md is what this prints with ``-s``."""
    found = Compared(f'configs/{path}.py', size, count)
    numbers = [
        f'{real / 2**20:.0f} / {estimated / 2**20:.0f}'
        for real, estimated in (
            (found.kept, found.estimated_kept),
            (found.peak, found.estimated_peak),
        )
    ]
    height, width = size
    print(
        f'\n| {path}, {count} x {height} x {width} | {" | ".join(numbers)} |'
    )
    found.check()


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


def wide_student():
    """Nothing but a student, of 11 million parameters."""
    cfg = toy('cls')
    cfg.model = task_toys.student('cls', width=64)
    return cfg


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


@pytest.mark.parametrize(
    'cfg, count, memory',
    [
        (toy('cls'), 8, 0.25),
        # Few images tell little here: most of the features do not grow. And
        # the peak comes later than the most features, with the gradients.
        (wide_student(), 2, 0.22),
    ],
    ids=['features', 'weights'],
)
def test_the_largest_batch_fits_and_a_few_images_more_do_not(
    cfg, count, memory
):
    size = (32, 32)
    found = estimate(cfg, count, size, memory, settings=False)
    largest = found['largest_batch']
    studio = Studio(*build(cfg))
    limit = memory * 2**30 * 0.9
    assert largest > count
    assert studio.step(largest, size).peak <= 1.01 * limit
    assert studio.step(largest + largest // 20 + 1, size).peak > limit


def test_no_image_fits_where_the_weights_do_not():
    found = estimate(toy('cls'), 8, (32, 32), 0.001, settings=False)
    assert found['largest_batch'] == 0


def test_a_preprocessor_that_resizes_batches_sees_the_whole_size():
    """YOLOX's keeps the size of its first batch."""
    cfg = toy('det')
    resize = dict(
        type='mmdet.BatchSyncRandomResize',
        random_size_range=(64, 128),
        size_divisor=32,
        interval=10,
    )
    for model in (cfg.model, cfg.model.architecture):
        if 'data_preprocessor' in model:
            model['data_preprocessor']['batch_augments'] = [resize]
    small, large = (
        estimate(cfg, 1, size, settings=False)
        for size in ((64, 64), (128, 192))
    )
    plain = estimate(toy('det'), 1, (128, 192), settings=False)
    assert large['multiply_adds'] == plain['multiply_adds']
    assert large['multiply_adds'] > 4 * small['multiply_adds']


def test_what_is_not_counted_is_told():
    cfg = toy('cls')
    assert not_counted(cfg) == []
    cfg.model.compile_teacher = True
    cfg.model.distiller.settings = [dict(compile_denoiser={})]
    cfg.optim_wrapper = dict(type='AmpOptimWrapper', accumulative_counts=4)
    cfg.custom_hooks = [dict(type='EMAHook'), dict(type='NumClassCheckHook')]
    told = not_counted(cfg)
    assert [sentence.split(':')[0] for sentence in told] == [
        'compile_denoiser',
        'compile_teacher',
        'accumulative_counts',
        'AmpOptimWrapper',
        'EMAHook',
    ]


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
