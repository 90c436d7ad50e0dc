# Copyright (c) mmdiffkd contributors.
"""Real runs of MMEngine's Runner on random images."""

import pytest
import torch
from helpers import toys
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmdiffkd.registry import DATASETS


@DATASETS.register_module(force=True)
class RandomImages(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        data = toys.batch(size=(64, 64), n=1, seed=index)
        return dict(
            inputs=data['inputs'][0], data_samples=data['data_samples'][0]
        )


def run(model, work_dir, epochs=2, hooks=(), **kwargs):
    """Train a model config and return the runner."""
    cfg = Config(
        dict(
            model=model,
            work_dir=str(work_dir),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                dataset=dict(type='mmdiffkd.RandomImages'),
                collate_fn=dict(type='pseudo_collate'),
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
                clip_grad=dict(max_norm=10),
            ),
            custom_hooks=list(hooks),
            randomness=dict(seed=3),
            default_scope='mmdet',
            experiment_name=work_dir.name,
            log_level='ERROR',
            **kwargs,
        )
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_without_distillation_losses_training_is_stock_to_the_bit(tmp_path):
    stock = run(toys.detector(), tmp_path / 'stock').model
    ours = run(
        toys.algorithm(
            distiller=dict(_scope_='mmrazor', type='mmdiffkd.DiffKDDistiller')
        ),
        tmp_path / 'ours',
    ).model
    assert {f'architecture.{k}' for k in stock.state_dict()} == set(
        ours.state_dict()
    )
    for key, value in stock.state_dict().items():
        assert torch.equal(value, ours.student.state_dict()[key]), key


def test_distillation_changes_the_student(tmp_path):
    """Guards the test above: the two runs can differ."""
    stock = run(toys.detector(), tmp_path / 'stock').model
    ours = run(toys.algorithm(), tmp_path / 'ours').model
    key = 'backbone.conv1.weight'
    assert not torch.equal(
        stock.state_dict()[key], ours.student.state_dict()[key]
    )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    hooks = [dict(type='EMAHook', momentum=0.1)]
    return run(
        toys.algorithm(), tmp_path_factory.mktemp('finished'), hooks=hooks
    )


def test_the_checkpoint_holds_no_teacher_and_trains_on(finished, tmp_path):
    checkpoint = torch.load(
        f'{finished.work_dir}/epoch_2.pth', weights_only=True
    )
    for part in ('state_dict', 'ema_state_dict'):
        names = {
            key.split('.')[1 if part.startswith('ema') else 0]
            for key in checkpoint[part]
            if key != 'steps'
        }
        assert names == {'architecture', 'distiller'}
    trained = sum(
        p.numel() for p in finished.model.parameters() if p.requires_grad
    )
    momenta = checkpoint['optimizer']['state'].values()
    assert sum(m['momentum_buffer'].numel() for m in momenta) == trained

    resumed = run(
        toys.algorithm(),
        tmp_path / 'resumed',
        epochs=3,
        hooks=[dict(type='EMAHook', momentum=0.1)],
        load_from=f'{finished.work_dir}/epoch_2.pth',
        resume=True,
    )
    assert resumed.iter == 9


def test_the_ema_copy_shares_the_teacher(finished):
    (hook,) = (h for h in finished.hooks if type(h).__name__ == 'EMAHook')
    assert hook.ema_model.module.teacher is finished.model.teacher


def test_losses_and_gamma_are_in_the_log(finished):
    scalars = finished.message_hub.log_scalars
    for name in (
        'student.loss_cls',
        'distill.loss_kd_p3',
        'distill.diff_p3.loss_diff',
        'distill.diff_p3.gamma_mean',
        'distill.diff_p3.feature_scale',
    ):
        assert f'train/{name}' in scalars


def test_stopping_distillation_in_the_middle(tmp_path):
    runner = run(
        toys.algorithm(),
        tmp_path / 'stopped',
        epochs=3,
        hooks=[dict(type='mmrazor.StopDistillHook', stop_epoch=1)],
    )
    history = runner.message_hub.log_scalars
    kd, _ = history['train/distill.loss_kd_p3'].data
    task, _ = history['train/student.loss_cls'].data
    assert (len(kd), len(task)) == (3, 9)
