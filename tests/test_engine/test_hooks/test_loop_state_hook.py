# Copyright (c) mmdiffkd contributors.
"""A loop goes on with the next batch, and loads nothing for those before."""

from types import SimpleNamespace

import mmengine.runner.loops as loops
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, Dataset

from mmdiffkd.engine.hooks import LoopStateHook


class Numbers(Dataset):
    """Notes what is loaded."""

    def __init__(self):
        self.loaded = []

    def __len__(self):
        return 7

    def __getitem__(self, index):
        self.loaded.append(index)
        return index


class EvenFirst(BatchSampler):
    """Batches whose number of indices differs from what was drawn."""

    def __iter__(self):
        waiting = {0: [], 1: []}
        for index in self.sampler:
            group = waiting[index % 2]
            group.append(index)
            if len(group) == self.batch_size:
                yield list(group)
                group.clear()


def loader(kind='DefaultSampler', seeded=True, batches=None, **kwargs):
    sampler = dict(type=kind, shuffle=True)
    if seeded:
        sampler = dict(type='mmdiffkd.SeededSampler', sampler=sampler)
    cfg = dict(
        batch_size=2,
        num_workers=0,
        dataset=Numbers(),
        sampler=sampler,
        collate_fn=lambda batch: batch,
        **kwargs,
    )
    loader = Runner.build_dataloader(cfg, seed=3)
    if batches is not None:
        vars(loader)['batch_sampler'] = batches(loader.sampler, 2, False)
    return loader


def runner_of(loader, iteration, loop=None, **kwargs):
    loop = loop or SimpleNamespace(
        dataloader=loader,
        iter=iteration,
        dataloader_iterator=loops._InfiniteDataloaderIterator(loader),
    )
    return SimpleNamespace(
        train_loop=loop,
        train_dataloader=loader,
        epoch=0,
        iter=iteration,
        val_loop=None,
        _resume=True,
        logger=MMLogger.get_current_instance(),
        optim_wrapper=None,
        **kwargs,
    )


def saved(hook, runner, epoch=0):
    checkpoint = dict(meta=dict(epoch=epoch))
    hook.before_save_checkpoint(runner, checkpoint)
    return checkpoint


@pytest.mark.parametrize('seeded', [True, False])
@pytest.mark.parametrize(
    'kind, batches',
    [
        ('InfiniteSampler', None),
        ('InfiniteSampler', EvenFirst),
        ('DefaultSampler', None),
    ],
)
@pytest.mark.parametrize('done', [1, 4, 10])
def test_iteration_loop(monkeypatch, kind, batches, seeded, done):
    """Four batches are one pass of the finite sampler."""
    monkeypatch.setattr(loops.time, 'sleep', lambda seconds: None)
    whole = loader(kind, seeded, batches)
    iterator = loops._InfiniteDataloaderIterator(whole)
    expected = [next(iterator) for _ in range(14)]

    hook, runner = LoopStateHook(), runner_of(whole, done)
    checkpoint = saved(hook, runner)

    resumed = loader(kind, seeded, batches)
    resumed.sampler.seed = 99  # another run's, as without a seed in the config
    runner = runner_of(resumed, done)
    # As if workers had fetched some batches ahead.
    next(runner.train_loop.dataloader_iterator)
    resumed.dataset.loaded.clear()
    hook = LoopStateHook()
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    iterator = runner.train_loop.dataloader_iterator
    for _ in range(done):  # MMEngine's loop catches up
        next(iterator)
    assert resumed.dataset.loaded == []
    assert [next(iterator) for _ in range(14 - done)] == expected[done:]


def epoch_loop(loader, seen):
    """What MMEngine's epoch-based loop does with its data."""

    def run_epoch(self, hook, runner):
        hook.before_train_epoch(runner)
        for index, batch in enumerate(self.dataloader):
            self.run_iter(index, batch)
        hook.after_train_epoch(runner)

    loop = type(
        'Loop',
        (),
        dict(
            run_iter=lambda self, index, batch: seen.append((index, batch)),
            run_epoch=run_epoch,
        ),
    )()
    loop.dataloader = loader
    return loop


@pytest.mark.parametrize('done', [1, 3, 4])
def test_epoch_loop(done):
    expected = list(enumerate(loader()))
    hook, seen = LoopStateHook(), []
    first = loader()
    runner = runner_of(first, done, epoch_loop(first, seen))
    hook.before_train_iter(runner, done - 1)
    checkpoint = saved(hook, runner)

    resumed = loader()
    loop = epoch_loop(resumed, seen)
    runner = runner_of(resumed, done, loop)
    hook = LoopStateHook()
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    loop.run_epoch(hook, runner)
    assert seen == expected[done:]
    assert len(resumed.dataset.loaded) == max(7 - 2 * done, 0)

    seen.clear()  # the next epoch is whole, and counted from zero
    loop.run_epoch(hook, runner)
    assert [index for index, _ in seen] == [0, 1, 2, 3]
    assert any(batch for _, batch in seen)


def test_an_epoch_that_is_done_begins_the_next():
    hook = LoopStateHook()
    data_loader = loader()
    runner = runner_of(data_loader, 4, epoch_loop(data_loader, []))
    hook.before_train_iter(runner, 3)
    assert saved(hook, runner, epoch=1)['loop_state']['batches'] == 0
    assert saved(hook, runner, epoch=0)['loop_state']['batches'] == 4


def test_another_length_of_the_epoch_is_told(caplog):
    hook, seen = LoopStateHook(), []
    first = loader()
    runner = runner_of(first, 2, epoch_loop(first, seen))
    hook.before_train_iter(runner, 1)
    checkpoint = saved(hook, runner)
    other = loader(drop_last=True)
    said = []
    runner = runner_of(other, 2, epoch_loop(other, seen))
    runner.logger = SimpleNamespace(
        warning=said.append, info=lambda text: None
    )
    hook = LoopStateHook()
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert 'had 4 iterations' in said[0] and 'has 3 now' in said[0]
    runner.train_loop.run_epoch(hook, runner)
    assert [index for index, _ in seen] == [1, 2]


def test_a_checkpoint_within_an_accumulation_is_told_once():
    data_loader, said = loader(), []
    runner = runner_of(data_loader, 3, epoch_loop(data_loader, []))
    runner.logger = SimpleNamespace(warning=said.append)
    weight = torch.nn.Parameter(torch.ones(()))
    runner.optim_wrapper = OptimWrapper(
        torch.optim.SGD([weight], lr=0.1), accumulative_counts=2
    )
    hook = LoopStateHook()
    for warnings in (1, 1, 1):  # after the first iteration and the third
        runner.optim_wrapper.update_params(weight * 1)
        saved(hook, runner)
        assert len(said) == warnings
    assert 'accumulative_counts' in said[0]
