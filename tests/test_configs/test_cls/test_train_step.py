# Copyright (c) mmdiffkd contributors.
"""Every classification config builds and takes a step on CPU.

The teachers are built at full size, with random weights, which a config has
to allow explicitly.
"""

import gc
import math

import pytest
import torch
from helpers import cls_tiny as tiny
from helpers.paper_pairs import of_papers
from mmengine.optim import build_optim_wrapper

from mmdiffkd.utils import UserError

PAIRS = sorted(path.name for path in of_papers(tiny.CLS.glob('*.py')))
BASELINES = sorted(
    path.relative_to(tiny.CLS).as_posix()
    for path in tiny.CLS.glob('baselines/*.py')
)
# Width of the teacher's and the student's map: differs where `resize` is set.
RESIZED = {
    'diffkd_r50_mobilenet-v2_cifar100.py': (4, 2),
    'diffkd_r32x4_shufflenet-v1_cifar100.py': (8, 4),
    'diffkd_r32x4_shufflenet-v2_cifar100.py': (8, 4),
}


def with_marks(names):
    """Large models take seconds to fill, Swin-L's 197 million weights ten."""
    return [
        pytest.param(name, marks=pytest.mark.slow)
        if 'in1k' in name and not name.startswith('diffkd_r34')
        else name
        for name in names
    ]


def small_batch(cfg):
    """CIFAR images of their size, ImageNet's smaller."""
    if cfg.data_preprocessor.num_classes == 100:
        return tiny.batch((32, 32))
    return tiny.batch((64, 64), labels=(1, 999))


def let_swin_take_small_maps(cfg):
    if 'Swin' in cfg.model.get('architecture', cfg.model).backbone.type:
        cfg.model.get('architecture', cfg.model).backbone.pad_small_map = True
    if 'swin' in cfg.model.get('teacher', {}).get('cfg_path', ''):
        cfg.model.teacher.cfg_options = {'model.backbone.pad_small_map': True}


def record_gradients(model):
    """Keep the size of each gradient; the step itself clears them."""
    sizes = {}
    for name, param in model.named_parameters():
        if param.requires_grad:
            param.register_post_accumulate_grad_hook(
                lambda p, name=name: sizes.update(
                    {name: p.grad.abs().sum().item()}
                )
            )
    return sizes


@pytest.mark.parametrize('name', with_marks(PAIRS))
def test_pair_takes_a_training_step(name):
    torch.manual_seed(0)
    cfg = tiny.load(name)
    let_swin_take_small_maps(cfg)
    model = tiny.build(cfg).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    gradients = record_gradients(model)
    widths = {}
    for side, part in (('teacher', model.teacher), ('student', model.student)):
        part.backbone.register_forward_hook(
            lambda module, args, out, side=side: widths.update(
                {side: out[-1].shape[-1]}
            )
        )

    logged = model.train_step(small_batch(cfg), optim_wrapper)

    values = {key: value.item() for key, value in logged.items()}
    assert all(math.isfinite(value) for value in values.values()), values
    assert 'student.loss' in values
    for loss in model.distiller.distill_losses:
        assert f'distill.{loss}' in values
    if name.startswith('diffkd'):
        for connector in ('diff_feature', 'diff_logits'):
            assert f'distill.{connector}.loss_diff' in values
        assert ('distill.diff_feature.loss_ae' in values) == (
            'in1k' in name
        )  # no autoencoder on CIFAR-100
        resized = RESIZED.get(name)
        assert (widths['teacher'] != widths['student']) == bool(resized)
        if resized:
            assert (widths['teacher'], widths['student']) == resized

    # No parameter is left without gradient: DDP would wait for it.
    trainable = {k for k, v in model.named_parameters() if v.requires_grad}
    assert trainable - set(gradients) == set()
    parts = ['architecture.backbone.', 'architecture.head.'] + [
        f'distiller.connectors.{c}.' for c in model.distiller.connectors
    ]
    for part in parts:
        sizes = [v for k, v in gradients.items() if k.startswith(part)]
        assert sizes and max(sizes) > 0, part
    assert not any(p.requires_grad for p in model.teacher.parameters())
    assert {k.split('.')[0] for k in model.state_dict()} <= {
        'architecture',
        'distiller',
    }
    del model, optim_wrapper
    gc.collect()


@pytest.mark.parametrize('name', with_marks(BASELINES))
def test_baseline_takes_a_training_step(name):
    torch.manual_seed(0)
    cfg = tiny.load(name)
    let_swin_take_small_maps(cfg)
    model = tiny.build(cfg).train()
    logged = model.train_step(
        small_batch(cfg), build_optim_wrapper(model, cfg.optim_wrapper)
    )
    # Two images, one guess among many: about log(classes).
    chance = math.log(cfg.data_preprocessor.num_classes)
    assert 0.3 * chance < logged['loss'].item() < 3 * chance


def test_a_cifar_teacher_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = tiny.load('diffkd_r56_r20_cifar100.py')
    cfg.model.teacher_ckpt = 'checkpoints/cifar100_resnet56.pth'
    with pytest.raises(
        UserError, match="'checkpoints/cifar100_resnet56.pth' does not exist"
    ):
        tiny.build(cfg)


def test_recorded_modules_that_do_not_exist_are_named():
    cfg = tiny.load('kd_r56_r20_cifar100.py')
    cfg.model.distiller.pairs.kd.student = dict(source='head.fcc')
    with pytest.raises(UserError, match="'head.fcc'.*'head.fc'"):
        tiny.build(cfg)
