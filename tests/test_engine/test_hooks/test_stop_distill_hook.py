# Copyright (c) mmdiffkd contributors.
import pytest
from helpers.small_runs import run
from mmengine.hooks import Hook

from mmdiffkd.engine.hooks import StopDistillHook
from mmdiffkd.utils import UserError


class Recorder(Hook):
    """Iterations at which the log holds distillation losses."""

    def __init__(self):
        self.distilled = []

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        if any(key.startswith('distill.loss_kd') for key in outputs):
            self.distilled.append(runner.iter)


def distilled(work_dir, stop, monkeypatch=None, **kwargs):
    """Train with a hook and return the iterations that distilled."""
    from mmengine.registry import HOOKS

    recorder = Recorder()
    HOOKS.register_module(
        'RecordDistillation', force=True, module=lambda: recorder
    )
    runner = run(
        work_dir,
        hooks=[
            dict(type='mmdiffkd.StopDistillHook', **stop),
            dict(type='RecordDistillation'),
        ],
        **kwargs,
    )
    return recorder.distilled, runner


@pytest.mark.parametrize(
    'stop, expected',
    [
        (dict(stop_epoch=0), []),
        (dict(stop_epoch=1), [0, 1, 2]),
        (dict(stop_iter=2), [0, 1]),
        (dict(stop_iter=4), [0, 1, 2, 3]),
        (dict(stop_epoch=9), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_distils_for_as_long_as_told(tmp_path, stop, expected):
    assert distilled(tmp_path, stop)[0] == expected


def test_counts_epochs_as_mmrazors_hook(tmp_path):
    ours, _ = distilled(tmp_path / 'a', dict(stop_epoch=1))
    from mmrazor.engine.hooks import StopDistillHook as Stock

    theirs = Stock(stop_epoch=1)

    class Run:
        epoch = 0

        class model:
            distillation_stopped = False

        class logger:
            info = print

    stopped = []
    for Run.epoch in range(2):
        theirs.before_train_epoch(Run)
        stopped.append(Run.model.distillation_stopped)
    assert stopped == [i not in [n // 3 for n in ours] for i in range(2)]


def test_loop_of_iterations(tmp_path):
    found, _ = distilled(tmp_path, dict(stop_iter=2), iters=4)
    assert found == [0, 1]


@pytest.mark.parametrize('stop', [dict(stop_epoch=1), dict(stop_iter=3)])
def test_resumed_run_has_stopped(tmp_path, stop):
    distilled(tmp_path / 'a', stop)
    found, runner = distilled(
        tmp_path / 'b',
        stop,
        epochs=3,
        resume=True,
        load_from=str(tmp_path / 'a' / 'epoch_2.pth'),
    )
    assert runner.iter == 9 and found == []


def test_resumed_run_obeys_a_later_moment(tmp_path):
    distilled(tmp_path / 'a', dict(stop_epoch=1))
    found, _ = distilled(
        tmp_path / 'b',
        dict(stop_epoch=3),
        epochs=4,
        resume=True,
        load_from=str(tmp_path / 'a' / 'epoch_2.pth'),
    )
    assert found == [6, 7, 8]


def test_epochs_of_a_loop_without_epochs(tmp_path):
    with pytest.raises(UserError, match='has no epochs; set stop_iter'):
        distilled(tmp_path, dict(stop_epoch=1), iters=2)
    assert distilled(tmp_path, dict(stop_iter=1), iters=2)[0] == [0]


def test_model_that_does_not_distil(tmp_path):
    from helpers import toys

    with pytest.raises(UserError, match='a RetinaNet, does not distil'):
        distilled(tmp_path, dict(stop_epoch=1), model=toys.detector())


@pytest.mark.parametrize(
    'wrong',
    [
        dict(),
        dict(stop_epoch=1, stop_iter=2),
        dict(stop_epoch=-1),
        dict(stop_epoch=1.5),
        dict(stop_iter='3'),
        dict(stop_iter=True),
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(UserError, match='StopDistillHook'):
        StopDistillHook(**wrong)
