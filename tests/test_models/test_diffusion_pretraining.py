# Copyright (c) mmdiffkd contributors.
"""Diffusion models are trained on the teacher alone, and then found."""

from logging import getLogger
from types import SimpleNamespace

import pytest
import torch
from helpers import toys
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from mmdiffkd.diffusion import noise_sources
from mmdiffkd.diffusion.pretrained import diffusion_file
from mmdiffkd.engine.diffusion_pretraining import (
    check_length,
    pretraining_config,
    save_diffusion,
)
from mmdiffkd.engine.hooks import RNGStateHook
from mmdiffkd.utils import UserError


def test_no_student_runs_and_a_distillation_takes_the_file(tmp_path):
    cfg = toys.algorithm()
    model = toys.build(
        dict(type='mmdiffkd.DiffusionPretraining', distillation=cfg)
    ).train()
    calls = []
    model._algorithm.student.register_forward_hook(lambda *_: calls.append(1))
    optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), 1e-3))
    before = [p.clone() for p in model.parameters()]
    log = model.train_step(toys.batch(), optimizer)
    assert {k for k in log if k.endswith('loss_diff')} == {
        f'diff_p{i}.loss_diff' for i in (3, 4, 5)
    }
    assert not calls
    assert any(
        not torch.equal(a, b) for a, b in zip(before, model.parameters())
    )
    assert not any(
        p.grad is not None for p in model._algorithm.teacher.parameters()
    )
    path = str(tmp_path / 'diffusion.pth')
    torch.save(diffusion_file(model.diffusion_models), path)
    student = toys.build(
        toys.algorithm(
            distiller=toys.distiller(
                diffusion_ckpt=path, freeze_diffusion=True
            )
        )
    )
    student.init_weights()
    trained = model.diffusion.state_dict()
    found = torch.nn.ModuleDict(
        {
            name: torch.nn.ModuleDict(d.diffusion_parts())
            for name, d in student.distiller.diffusion_models().items()
        }
    ).state_dict()
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[k], v) for k, v in trained.items())
    losses = toys.losses(student)
    assert not any('loss_diff' in name for name in losses)


@pytest.mark.parametrize(
    'connector, words',
    [
        (dict(freeze_diffusion=True), 'needs diffusion_ckpt'),
        (dict(diffusion_ckpt='absent.pth'), 'does not exist'),
    ],
)
def test_a_file_that_is_not_there(connector, words):
    distiller = toys.distiller(**connector)
    with pytest.raises(UserError, match=words) as error:
        toys.build(toys.algorithm(distiller=distiller))
    assert str(error.value).count("connector '") <= 1


def test_one_iteration_is_a_schedule_and_another_length_is_told(tmp_path):
    cfg = Config(dict(model=toys.algorithm()))
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    path = str(tmp_path / 'iter.pth')
    for iters, kinds in ((1, 1), (2, 2), (3000, 2)):
        parts = pretraining_config(cfg, iters, 1e-3).param_scheduler
        schedules = [
            PARAM_SCHEDULERS.build(
                dict(part), default_args=dict(optimizer=optimizer)
            )
            for part in parts
        ]
        assert len(schedules) == kinds
        torch.save(
            dict(param_schedulers=[s.state_dict() for s in schedules]), path
        )
        check_length(path, iters)
        with pytest.raises(UserError, match=f'was started with {iters}'):
            check_length(path, iters + 1)


def test_all_that_a_batch_meets_is_taken_along_to_a_device():
    """The re-normalisation of the teacher's input, too."""
    other = toys.detector(
        width=12,
        channels=24,
        norm=dict(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False),
    )
    model = toys.build(
        dict(
            type='mmdiffkd.DiffusionPretraining',
            distillation=toys.algorithm(teacher=other),
        )
    ).to('meta')
    algorithm = model._algorithm
    assert algorithm.teacher_input is not None
    parts = algorithm.teacher, algorithm.distiller, algorithm.teacher_input
    for part in parts:
        for value in (*part.parameters(), *part.buffers()):
            assert value.device.type == 'meta'


def test_sources_of_noise_are_found_though_they_are_no_children():
    """So that a resumed training goes on with the noise of the first."""
    model = toys.build(
        dict(
            type='mmdiffkd.DiffusionPretraining',
            distillation=toys.algorithm(),
        )
    )
    assert [name for name, _ in noise_sources(model)] == [
        f'distiller.connectors.diff_p{i}.diffusion.noise_source'
        for i in (3, 4, 5)
    ]


def test_a_resumed_training_goes_on_with_other_noise(tmp_path):
    def step(model):
        data = model.data_preprocessor(toys.batch(), True)
        return float(model(**data)['diff_p3.loss_diff'])

    def made():
        torch.manual_seed(0)
        cfg = dict(
            type='mmdiffkd.DiffusionPretraining',
            distillation=toys.algorithm(),
        )
        model = toys.build(cfg).train()
        # The teacher is not in a checkpoint.
        for p in model._algorithm.teacher.parameters():
            torch.nn.init.normal_(p, std=0.05)
        return model

    first = made()
    step(first)
    checkpoint = dict(state_dict=first.state_dict())
    hook = RNGStateHook()
    hook.before_save_checkpoint(runner_of(first), checkpoint)
    expected = step(first)
    second = made()
    second.load_state_dict(checkpoint['state_dict'])
    hook = RNGStateHook()
    hook.after_load_checkpoint(runner_of(second), checkpoint)
    hook.before_train(runner_of(second))
    assert step(second) == expected


def runner_of(model):
    return SimpleNamespace(
        model=model,
        train_dataloader=SimpleNamespace(),
        val_loop=None,
        seed=0,
        logger=getLogger(),
        _resume=True,
    )


@pytest.mark.parametrize('error', [OSError('no space'), RuntimeError('[enf')])
def test_a_file_that_cannot_be_written_says_how_to_keep_the_training(
    error, tmp_path, monkeypatch
):
    model = toys.build(
        dict(
            type='mmdiffkd.DiffusionPretraining', distillation=toys.algorithm()
        )
    )
    hub = MessageHub('of_this_test')
    for name in model.diffusion_models:
        hub.update_scalar(f'train/{name}.loss_diff', 0.5)
    runner = SimpleNamespace(model=model, message_hub=hub, iter=4)
    out = tmp_path / 'out.pth'

    def save(*_):
        raise error

    with monkeypatch.context() as patch, pytest.raises(UserError) as raised:
        patch.setattr(torch, 'save', save)
        save_diffusion(runner, str(out))
    assert f'--out {out} could not be written: {error}' in str(raised.value)
    assert '--resume --out ANOTHER' in str(raised.value)
    assert not list(tmp_path.iterdir())
    assert set(save_diffusion(runner, str(out)).values()) == {0.5}
