# Copyright (c) mmdiffkd contributors.
"""Every segmentation config builds and takes a step on CPU."""

import math

import pytest
import torch
from helpers import seg_tiny as tiny
from helpers.paper_pairs import of_papers
from mmengine.optim import build_optim_wrapper
from torch import nn

PAIRS = of_papers(sorted(tiny.SEG.glob('*.py')))
ALONE = sorted(tiny.SEG.glob('baselines/*.py'))


@pytest.fixture(scope='module')
def teacher():
    """The one teacher of all pairs, at full size, with random weights."""
    return tiny.build(tiny.load(PAIRS[0])).teacher


def test_pairs_share_the_teacher():
    models = [tiny.read(path).model for path in PAIRS]
    assert len(models) >= 9
    assert all(model.teacher == models[0].teacher for model in models)
    assert len({model.teacher_ckpt for model in models}) == 1


@pytest.mark.parametrize('path', PAIRS, ids=lambda path: path.stem)
def test_pair_takes_a_training_step(path, teacher):
    torch.manual_seed(0)
    cfg = tiny.load(path)
    cfg.model.teacher = teacher
    model = tiny.build(cfg)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    without = {n for n, p in model.named_parameters() if p.requires_grad}
    for name, param in model.named_parameters():
        if param.requires_grad:
            param.register_post_accumulate_grad_hook(
                lambda _, name=name: without.discard(name)
            )
    before = model.architecture.backbone.state_dict()
    before = {name: value.clone() for name, value in before.items()}

    model.train()
    log = model.train_step(tiny.batch(), optim_wrapper)

    values = {name: value.item() for name, value in log.items()}
    assert all(math.isfinite(value) for value in values.values()), values
    assert {'student.decode.loss_ce', 'student.aux.loss_ce'} <= set(values)
    for loss in model.distiller.distill_losses:
        assert f'distill.{loss}' in values
    for connector in model.distiller.connector_forward_mappings:
        assert f'distill.{connector}.loss_diff' in values
    # DDP would wait for the gradient of any parameter that is left out.
    assert without == set()
    after = model.architecture.backbone.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)
    assert not teacher.training
    assert all(param.grad is None for param in teacher.parameters())
    prefixes = {name.split('.')[0] for name in model.state_dict()}
    assert prefixes <= {'architecture', 'distiller'}


@pytest.mark.parametrize('path', ALONE, ids=lambda path: path.stem)
def test_student_alone_builds_with_synchronised_norms(path):
    model = tiny.build(tiny.load(path))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    synced = [m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert synced and not norms
    # Channels of the paper's students: 13.6, 12.9 and 3.2 million parameters.
    millions = (
        sum(
            p.numel()
            for name, p in model.named_parameters()
            if not name.startswith('auxiliary_head')
        )
        / 1e6
    )
    paper = {'pspnet_r18': 12.9, 'deeplabv3_mobilenet-v2': 3.2}
    assert abs(millions - paper.get(path.stem, 13.6)) < 0.6


@pytest.mark.parametrize('path', ALONE + PAIRS, ids=lambda path: path.stem)
def test_schedule_is_the_papers(path):
    """40k iterations of 16 crops, lr 0.02, poly 0.9 down to 1e-4."""
    cfg = tiny.read(path)
    assert cfg.train_cfg.type == 'IterBasedTrainLoop'
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.train_dataloader.batch_size * 8 == 16
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (
        0.02,
        0.9,
        5e-4,
    )
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.power, schedule.eta_min, schedule.end) == (
        'PolyLR',
        0.9,
        1e-4,
        40000,
    )
    (crop,) = [
        t
        for t in cfg.train_dataloader.dataset.pipeline
        if t.type == 'RandomCrop'
    ]
    assert tuple(crop.crop_size) == (512, 1024)


def test_only_the_student_from_scratch_has_no_imagenet_weights():
    for path in ALONE + PAIRS:
        model = tiny.read(path).model
        student = model.get('architecture', model)
        assert (student.pretrained is None) == ('scratch' in path.stem), path
