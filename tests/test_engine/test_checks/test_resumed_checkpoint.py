# Copyright (c) mmdiffkd contributors.
"""A checkpoint that cannot be resumed from is one to start from."""

import pytest
import torch
from helpers import task_toys
from helpers.small_runs import run
from mmengine.registry import DefaultScope

from mmdiffkd.utils import UserError

HOOKS = dict(
    checkpoint=dict(
        type='mmdiffkd.AtomicCheckpointHook', interval=1, max_keep_ckpts=1
    )
)

SCHEDULE = [dict(type='MultiStepLR', milestones=[1], by_epoch=True)]


def train(folder, checkpoint, resume, lr=0.01, **options):
    """One more epoch from a checkpoint."""
    return run(
        folder,
        task='det',
        epochs=2,
        resume=resume,
        load_from=str(checkpoint),
        default_hooks=HOOKS,
        **options,
    )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A training checkpoint of one epoch."""
    folder = tmp_path_factory.mktemp('run')
    run(folder, task='det', epochs=1, default_hooks=HOOKS)
    return folder / 'epoch_1.pth'


def bare_weights(finished, folder):
    content = torch.load(finished, weights_only=False)
    torch.save(dict(state_dict=content['state_dict']), folder / 'w.pth')
    return folder / 'w.pth', {}


def without_optimizer(finished, folder):
    """As with save_optimizer=False."""
    content = torch.load(finished, weights_only=False)
    del content['optimizer']
    torch.save(content, folder / 'o.pth')
    return folder / 'o.pth', {}


def best(finished, folder):
    """As MMEngine writes best_*.pth."""
    content = torch.load(finished, weights_only=False)
    del content['optimizer']
    content.pop('param_schedulers', None)
    torch.save(content, folder / 'best.pth')
    return folder / 'best.pth', dict(param_scheduler=SCHEDULE)


def another_optimizer(finished, _):
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
    return finished, dict(optim_wrapper=wrapper)


def another_width(finished, _):
    model = task_toys.algorithm('det')
    model['architecture']['bbox_head']['num_classes'] = 5
    model['teacher']['bbox_head']['num_classes'] = 5
    return finished, dict(model=model)


@pytest.mark.parametrize(
    'mistake, words',
    [
        (bare_weights, "has no 'message_hub'"),
        (without_optimizer, 'it holds no state of the optimizer, so that'),
        (best, 'no state of the optimizer and of the schedule, so that'),
        (another_optimizer, 'another optimizer than the AdamW'),
        (another_width, 'of the model are not in it, or have another shape'),
    ],
)
def test_load_from_in_the_place_of_resuming(
    mistake, words, finished, tmp_path
):
    checkpoint, options = mistake(finished, tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        with pytest.raises(UserError, match=words) as error:
            train(tmp_path / 'a', checkpoint, True, **options)
        assert 'set load_from instead of resuming' in str(error.value)
        runner = train(tmp_path / 'b', checkpoint, False, **options)
    assert runner.epoch == 2  # both of its own: it started anew
    assert all(p.isfinite().all() for p in runner.model.parameters())


def test_where_only_a_validation_is_left_no_optimizer_is_missed(
    finished, tmp_path
):
    checkpoint, _ = without_optimizer(finished, tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        runner = run(
            tmp_path / 'run',
            task='det',
            epochs=1,
            resume=True,
            load_from=str(checkpoint),
            default_hooks=HOOKS,
        )
    assert runner.epoch == 1
