# Copyright (c) mmdiffkd contributors.
"""The rows A1, B1, B2 and B3 of the paper's Table 1, by their numbers."""

import functools
import math

import pytest
import torch
from helpers import cls_tiny as tiny
from helpers.paper_pairs import of_papers
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

EPOCH = 4  # iterations
ROWS = {
    'a1_cifar100': dict(
        epochs=240, batch=64, gpus=1, lr=0.05, decay=5e-4, kind='SGD'
    ),
    'b1_imagenet': dict(
        epochs=100, batch=256, gpus=8, lr=0.1, decay=1e-4, kind='SGD'
    ),
    'b2_imagenet': dict(
        epochs=450, batch=768, gpus=8, lr=0.048, decay=1e-5, kind='RMSprop'
    ),
    'b3_imagenet': dict(
        epochs=300, batch=1024, gpus=16, lr=5e-4, decay=0.05, kind='AdamW'
    ),
}


def load(row):
    return tiny.read(tiny.ROOT / f'configs/_base_/schedules/{row}.py')


@functools.cache
def rates(row):
    """Learning rate at every iteration, by MMEngine's own schedulers."""
    cfg = load(row)
    init_default_scope('mmpretrain')
    model = torch.nn.Linear(1, 1)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = cfg.param_scheduler
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    built = []
    for options in schedulers:
        options = dict(options)
        kind = PARAM_SCHEDULERS.get(options.pop('type'))
        if options.pop('convert_to_iter_based', False):
            built.append(
                kind.build_iter_from_epoch(
                    optimizer=wrapper, epoch_length=EPOCH, **options
                )
            )
        else:
            built.append(kind(wrapper, **options))
    values = []
    for _ in range(cfg.train_cfg.max_epochs):
        for _ in range(EPOCH):
            values.append(wrapper.get_lr()['lr'][0])
            wrapper.optimizer.step()
            for scheduler in built:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in built:
            if scheduler.by_epoch:
                scheduler.step()
    return values


def rate(row, epoch):
    """Rate in the first iteration of an epoch, counted from 0."""
    return rates(row)[epoch * EPOCH]


@pytest.mark.parametrize('row', list(ROWS))
def test_row_of_the_table(row):
    cfg, facts = load(row), ROWS[row]
    optimizer = cfg.optim_wrapper.optimizer
    assert cfg.train_cfg.max_epochs == facts['epochs']
    assert cfg.train_dataloader.batch_size * facts['gpus'] == facts['batch']
    assert cfg.auto_scale_lr.base_batch_size == facts['batch']
    assert optimizer.type == facts['kind']
    assert optimizer.lr == facts['lr']
    assert optimizer.weight_decay == facts['decay']


@pytest.mark.parametrize(
    'row, steps',
    [('a1_cifar100', [150, 180, 210]), ('b1_imagenet', [30, 60, 90])],
)
def test_tenfold_steps(row, steps):
    for epoch in range(ROWS[row]['epochs']):
        passed = sum(step <= epoch for step in steps)
        assert rate(row, epoch) == pytest.approx(ROWS[row]['lr'] * 0.1**passed)


def test_b2_decays_every_2_4_epochs_after_its_warm_up():
    row = 'b2_imagenet'
    assert rate(row, 0) == pytest.approx(4.8e-6)
    assert rates(row)[EPOCH] < 0.024  # a third of the way
    for epoch in range(3, 450):
        times = epoch * 5 // 12  # whole multiples of 2.4 epochs
        assert rate(row, epoch) == pytest.approx(0.048 * 0.97**times), epoch
    # By hand: 12 epochs are 5 steps, 240 are 100, the last is the 187th.
    assert rate(row, 12) == pytest.approx(0.0412192, rel=1e-5)
    assert rate(row, 240) == pytest.approx(0.048 * math.exp(-3.0459207))
    assert rate(row, 449) == pytest.approx(0.048 * 0.97**187)


def test_b3_is_a_cosine_after_its_warm_up():
    row = 'b3_imagenet'
    assert rate(row, 0) == pytest.approx(5e-7)
    assert rate(row, 20) == pytest.approx(5e-4)
    assert rate(row, 160) == pytest.approx((5e-4 + 1e-5) / 2)  # half-way
    assert rate(row, 90) == pytest.approx(  # a quarter: cos(45 degrees)
        1e-5 + 4.9e-4 * (1 + math.sqrt(0.5)) / 2
    )
    assert rate(row, 299) == pytest.approx(1e-5, rel=0.01)


def test_augmentations_of_the_rows():
    names = {
        row: [t.type for t in load(row).train_dataloader.dataset.pipeline]
        for row in ROWS
    }
    assert names['a1_cifar100'] == ['RandomCrop', 'RandomFlip', 'PackInputs']
    assert names['b1_imagenet'] == [
        'LoadImageFromFile',
        'RandomResizedCrop',
        'RandomFlip',
        'PackInputs',
    ]
    assert names['b2_imagenet'] == [
        'LoadImageFromFile',
        'RandomResizedCrop',
        'RandomFlip',
        'RandAugment',
        'RandomErasing',
        'PackInputs',
    ]
    assert names['b3_imagenet'] == [
        'LoadImageFromFile',
        'RandomResizedCrop',
        'RandomFlip',
        'ColorJitter',
        'RandAugment',
        'RandomErasing',
        'PackInputs',
    ]
    (hook,) = load('b2_imagenet').custom_hooks
    assert hook.type == 'EMAHook'
    assert 1 - hook.momentum == pytest.approx(0.9999)


@pytest.mark.parametrize(
    'name',
    sorted(path.name for path in tiny.CLS.glob('baselines/*_b[23]_*.py')),
)
def test_strong_schedules_smooth_labels(name):
    model = tiny.load(f'baselines/{name}').model
    assert model.head.loss.type == 'LabelSmoothLoss'
    assert model.head.loss.label_smooth_val == 0.1
    mixes = [a.type for a in model.get('train_cfg', {}).get('augments', [])]
    assert mixes == (['Mixup', 'CutMix'] if '_b3_' in name else [])


@pytest.mark.parametrize(
    'name', sorted(path.name for path in of_papers(tiny.CLS.glob('*.py')))
)
def test_pair_has_the_schedule_of_its_name(name):
    cfg = tiny.load(name)
    (row,) = [
        row
        for row in ROWS
        if f'_{row[:2]}_' in name or (row[0] == 'a' and 'cifar' in name)
    ]
    expected = load(row)
    for key in (
        'train_cfg',
        'param_scheduler',
        'train_dataloader',
        'auto_scale_lr',
        'data_preprocessor',
    ):
        assert cfg[key] == expected[key], key
    optimizer = dict(expected.optim_wrapper.optimizer)
    if 'mobilenet-v2_cifar' in name or 'shufflenet' in name:
        optimizer['lr'] = 0.01  # as in the authors' config
    assert dict(cfg.optim_wrapper.optimizer) == optimizer
