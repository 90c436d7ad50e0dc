# Copyright (c) mmdiffkd contributors.
"""Every detection config builds with its teacher and takes a step on CPU.

The teachers have random weights, which a config has to allow explicitly.
Those of the ``diffkd_`` rows are built at full size, as a run builds them; the
other methods on the same pairs share a shallower one, and take fewer RoIs, to
save time.
"""

import gc
import math
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from helpers.paper_pairs import of_papers
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmdiffkd.models.algorithms.teacher_builder import build_teacher
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

ROOT = Path(__file__).parents[3]
# Those with the same teacher follow each other.
DET = sorted(
    of_papers(sorted(ROOT.glob('configs/det/*.py'))),
    key=lambda path: path.name.partition('_')[2],
)
# 3 x 4 at stride 32: deformable convolutions refuse less than 3 x 3.
SHAPES = [(3, 96, 128), (3, 96, 128)]


def load(path):
    """Read a config so that building it downloads nothing."""
    cfg = Config.fromfile(path)
    cfg.model.architecture.backbone.init_cfg = None
    cfg.model.teacher_ckpt = None
    cfg.model.allow_random_teacher = True
    if not path.name.startswith('diffkd_'):
        options = {'model.backbone.depth': 50}
        if '_x101' in cfg.model.teacher.cfg_path:
            # 64 groups of 4 channels, one after another on a CPU.
            options['model.backbone.groups'] = 8
        cfg.model.teacher.cfg_options = options
        if 'roi_head' in cfg.model.architecture:
            cfg.model.architecture.train_cfg.rcnn.sampler.num = 64
    return cfg


@lru_cache(maxsize=1)
def shared_teacher(cfg_path, options):
    """A teacher with random weights for several distillations."""
    options = dict(options)
    return build_teacher(dict(cfg_path=cfg_path, cfg_options=options)).model


def record_gradients(model):
    """Keep the size of each gradient; the step itself clears them."""
    sizes = {}

    def keep(name):

        def hook(param):
            sizes[name] = param.grad.abs().sum().item()

        return hook

    for name, param in model.named_parameters():
        if param.requires_grad:
            param.register_post_accumulate_grad_hook(keep(name))
    return sizes


@pytest.mark.parametrize('path', DET, ids=lambda path: path.stem)
def test_pair_takes_a_training_step(path):
    torch.manual_seed(0)
    cfg = load(path)
    init_default_scope(cfg.default_scope)
    teacher = cfg.model.teacher
    if not path.name.startswith('diffkd_'):
        options = tuple(teacher.cfg_options.items())
        cfg.model.teacher = shared_teacher(teacher.cfg_path, options)
    model = MODELS.build(cfg.model)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    gradients = record_gradients(model)
    before = {k: v.clone() for k, v in model.architecture.named_parameters()}
    batch = demo_mm_inputs(2, SHAPES, num_classes=80)

    model.train()
    logged = model.train_step(batch, optim_wrapper)

    # Every loss of every level is logged by itself, and is finite.
    values = {name: value.item() for name, value in logged.items()}
    assert all(math.isfinite(value) for value in values.values()), values
    assert any(name.startswith('student.loss') for name in values)
    for loss in model.distiller.distill_losses:
        assert f'distill.{loss}' in values
    connectors = list(model.distiller.connectors)
    for connector in connectors:
        if connector.startswith('diff_'):
            level = connector.replace('diff_', '')
            assert f'distill.loss_kd_{level}' in values
            assert f'distill.{connector}.loss_diff' in values
            assert f'distill.{connector}.gamma_mean' in values

    # No parameter is left without gradient: DDP would wait for it.
    trainable = {k for k, v in model.named_parameters() if v.requires_grad}
    assert trainable - set(gradients) == set()
    for part in ['architecture.backbone.', 'architecture.neck.'] + [
        f'distiller.connectors.{c}.' for c in connectors
    ]:
        sizes = [v for k, v in gradients.items() if k.startswith(part)]
        assert sizes and max(sizes) > 0, part
    changed = [
        name
        for name, param in model.architecture.named_parameters()
        if not torch.equal(param, before[name])
    ]
    assert any(name.startswith('backbone.') for name in changed)

    # The teacher learns nothing and is not part of what is saved.
    assert not model.teacher.training
    for param in model.teacher.parameters():
        assert param.grad is None and not param.requires_grad
    prefixes = {name.split('.')[0] for name in model.state_dict()}
    assert prefixes == {'architecture', *(['distiller'] if connectors else [])}

    del model, optim_wrapper, before
    gc.collect()  # a teacher takes up to half a gigabyte


def test_a_random_teacher_must_be_allowed():
    cfg = load(DET[0])
    del cfg.model.allow_random_teacher
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    with pytest.raises(UserError, match='model.teacher_ckpt'):
        model.init_weights()  # what a training run begins with


def test_step_reaches_the_student_through_the_distillation_alone():
    """Without task losses the student's pyramid still gets a gradient."""
    torch.manual_seed(0)
    path = ROOT / 'configs/det/diffkd_retina_r101_r50.py'
    cfg = load(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).train()
    batch = demo_mm_inputs(2, SHAPES, num_classes=80)
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    sum(
        value
        for name, value in losses.items()
        if name.startswith('distill.loss_kd')
    ).backward()
    convs = [
        m
        for m in model.architecture.neck.modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert len(convs) == 8
    assert all(conv.weight.grad.abs().sum() > 0 for conv in convs)
    head = model.architecture.bbox_head.parameters()
    assert all(param.grad is None for param in head)
