# Copyright (c) mmdiffkd contributors.
from contextlib import suppress

import pytest
import torch
from helpers import task_toys
from helpers.small_runs import config, run
from mmengine.config import Config
from mmengine.runner import Runner

from mmdiffkd.diffusion import IterationCount
from mmdiffkd.engine.hooks.finite_loss_hook import FiniteLossHook, restore_dump
from mmdiffkd.models.algorithms.nonfinite import nonfinite_parts
from mmdiffkd.utils import NonFiniteLossError, UserError

ADAM = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3),
    clip_grad=dict(max_norm=10),
)


def hook(**kwargs):
    return dict(type='mmdiffkd.FiniteLossHook', **kwargs)


def steps(runner):
    states = runner.optim_wrapper.optimizer.state.values()
    return {int(state['step']) for state in states}


def all_finite(runner):
    return all(
        torch.isfinite(value).all()
        for value in runner.model.state_dict().values()
    )


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_stop_names_parts_iteration_and_images_and_dumps(tmp_path, task):
    with pytest.raises(NonFiniteLossError) as error:
        run(tmp_path, task=task, broken=(3,), hooks=[hook()])
    message = str(error.value)
    (path,) = tmp_path.glob('nonfinite_iter_*_rank_0.pth')
    iteration = int(path.name.split('_')[2])
    connector = 'diff_p3' if task == 'det' else 'diff_out'
    for words in (
        f'at iteration {iteration}',
        'photo_3.png',
        str(path),
        f"distill.{connector}.loss_diff = nan (connector '{connector}')",
        'student.',
    ):
        assert words in message, words

    # Enough to see it again, on another day, in another process.
    dump = torch.load(path, weights_only=True)
    assert dump['iter'] == iteration
    cfg = Config.fromstring(dump['cfg'], '.py')
    model = task_toys.build(task, cfg.model)
    batch = restore_dump(model, dump)
    model.train()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    again = nonfinite_parts(losses, model.distiller)
    assert again and all(part in message for part in again)


def test_a_dump_brings_the_very_numbers_back(tmp_path):
    """Weights, batch and noise are those of the iteration."""
    seen = {}

    class Spy(FiniteLossHook):
        def good_batch(self):
            if self._runner.iter == 2:
                self.handle('wanted', True)

        def handle(self, message, bad):
            with suppress(NonFiniteLossError):
                super().handle(message, bad)

        def after_train_iter(self, runner, *args, outputs=None, **kwargs):
            if runner.iter == 2:
                seen.update({k: float(v) for k, v in outputs.items()})

    runner = runner_with(tmp_path, Spy())
    dump = torch.load(tmp_path / 'nonfinite_iter_3_rank_0.pth')
    model = task_toys.build('det', Config.fromstring(dump['cfg'], '.py').model)
    # This test's has random weights.
    model.teacher.load_state_dict(runner.model.teacher.state_dict())
    batch = restore_dump(model, dump)
    model.train()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    _, log = model.parse_losses(losses)
    assert {k: float(v) for k, v in log.items()} == pytest.approx(seen)


def runner_with(tmp_path, instance):
    runner = Runner.from_cfg(config(tmp_path))
    runner.register_hook(instance)
    runner.train()
    return runner


def test_skip_trains_on_without_the_bad_batch(tmp_path):
    runner = run(
        tmp_path,
        broken=(3,),
        hooks=[hook(on_nonfinite='skip')],
        optim_wrapper=ADAM,
    )
    # Two epochs of three batches, one of which is bad in each.
    assert steps(runner) == {4}
    assert all_finite(runner)
    assert len(list(tmp_path.glob('nonfinite_*'))) == 2
    skipped = runner.message_hub.log_scalars['train/skipped_steps']
    assert list(skipped.data[0]) == [1, 2]
    counting = [
        m for m in runner.model.modules() if isinstance(m, IterationCount)
    ]
    assert counting
    for module in counting:  # the host's count and the buffer that is saved
        assert module.count == int(module.iteration) == 4


def test_skip_under_accumulation_leaves_out_the_bad_batch_alone(tmp_path):
    runner = run(
        tmp_path,
        broken=(3,),
        hooks=[hook(on_nonfinite='skip')],
        optim_wrapper=dict(ADAM, accumulative_counts=3),
    )
    assert steps(runner) == {2}
    assert all_finite(runner)


def test_skips_in_a_row_end_the_run(tmp_path):
    with pytest.raises(NonFiniteLossError, match='2 steps in a row'):
        run(
            tmp_path,
            broken=range(6),
            iters=9,
            hooks=[hook(on_nonfinite='skip', max_skips=2, max_dumps=1)],
        )
    assert len(list(tmp_path.glob('nonfinite_*'))) == 1


def test_weights_that_are_broken_end_the_run(tmp_path):
    class Break(FiniteLossHook):
        def before_train_iter(self, runner, *args, **kwargs):
            super().before_train_iter(runner, *args, **kwargs)
            with torch.no_grad():
                next(self._model.student.parameters()).fill_(float('nan'))

    with pytest.raises(NonFiniteLossError, match='resume from an earlier'):
        runner_with(tmp_path, Break(on_nonfinite='skip'))


def test_large_dumps_shrink(tmp_path):
    with pytest.raises(
        NonFiniteLossError, match='without state_dict and batch'
    ):
        run(tmp_path, broken=(3,), hooks=[hook(max_dump_mb=0)])
    (path,) = tmp_path.glob('nonfinite_*')
    dump = torch.load(path, weights_only=True)
    assert dump['batch'] is None and 'photo_3.png' in dump['message']
    assert path.stat().st_size < 100_000


def test_training_is_the_same_with_and_without(tmp_path):
    plain, stop, skip = (
        run(tmp_path / name, hooks=hooks).model.state_dict()
        for name, hooks in (
            ('plain', []),
            ('stop', [hook()]),
            ('skip', [hook(on_nonfinite='skip')]),
        )
    )
    for key, value in plain.items():
        assert torch.equal(value, stop[key]) and torch.equal(value, skip[key])


@pytest.mark.parametrize(
    'wrong',
    [dict(on_nonfinite='ignore'), dict(max_skips=-1), dict(max_dumps='two')],
)
def test_wrong_arguments(wrong):
    with pytest.raises(UserError, match='FiniteLossHook'):
        FiniteLossHook(**wrong)


def test_model_that_does_not_distil(tmp_path):
    with pytest.raises(UserError, match='not a RetinaNet'):
        run(tmp_path, model=task_toys.student('det'), hooks=[hook()])
