# Copyright (c) mmdiffkd contributors.
"""What the messages of hooks and of resuming tell to do is done, and helps."""

import pytest
from helpers import task_toys
from helpers.small_runs import run
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdiffkd.engine.launch import set_resume
from mmdiffkd.utils import UserError


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def trained(folder, **options):
    return run(folder, task='cls', epochs=1, **options).iter == 3


@pytest.mark.parametrize(
    'hook',
    [
        dict(type='mmdiffkd.StopDistillHook', stop_epoch=1),
        dict(type='mmdiffkd.FiniteLossHook'),
        dict(type='mmdiffkd.FeatureVisualizationHook', interval=1),
    ],
    ids=lambda hook: hook['type'],
)
def test_a_hook_of_distillations_is_removed_from_stock_training(
    hook, tmp_path
):
    def student():
        return task_toys.student('cls')

    with pytest.raises(UserError, match='remove the hook'):
        trained(tmp_path / 'a', model=student(), hooks=[hook])
    assert trained(tmp_path / 'b', model=student())


def test_a_denoiser_that_would_never_learn_is_given_its_loss(tmp_path):
    def model(**connector):
        return task_toys.algorithm('cls', **connector)

    hooks = [dict(type='mmdiffkd.SanityHook')]
    with pytest.raises(UserError, match='check its diffusion_loss_weight'):
        trained(
            tmp_path / 'a', model=model(diffusion_loss_weight=0.0), hooks=hooks
        )
    assert trained(
        tmp_path / 'b', model=model(diffusion_loss_weight=0.1), hooks=hooks
    )


def test_a_checkpoint_is_named_where_no_note_tells_the_latest(tmp_path):
    hooks = dict(
        checkpoint=dict(type='mmdiffkd.AtomicCheckpointHook', interval=1)
    )
    run(tmp_path, task='cls', epochs=1, default_hooks=hooks)
    (tmp_path / 'last_checkpoint').unlink()
    cfg = Config(dict(work_dir=str(tmp_path)))
    with pytest.raises(UserError, match='Name it: --resume ') as error:
        set_resume(cfg, 'auto')
    named = str(error.value).rpartition('--resume ')[2]
    set_resume(cfg, named)
    runner = run(
        tmp_path,
        task='cls',
        epochs=2,
        default_hooks=hooks,
        resume=cfg.resume,
        load_from=cfg.load_from,
    )
    assert runner.iter == 6
