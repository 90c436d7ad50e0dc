# Copyright (c) mmdiffkd contributors.
"""Augmentation by sample, whoever loads it."""

import copy
import pickle
import random

import mmengine.dataset.sampler as samplers
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmdiffkd.datasets import seeded_sampler
from mmdiffkd.datasets.seeded_sampler import SampleIndex, SeededSampler


class Draws(Dataset):
    """What the three generators give for a sample."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        assert type(index) is int
        return [
            index,
            random.random(),
            np.random.rand(),
            torch.rand(()).item(),
        ]


def loader(
    workers=0, persistent=False, kind='DefaultSampler', dataset=None, **sampler
):
    return Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=workers,
            persistent_workers=persistent,
            dataset=dataset or Draws(),
            collate_fn=lambda batch: batch,
            sampler=dict(
                type='mmdiffkd.SeededSampler',
                sampler=dict(type=kind, shuffle=True, **sampler),
            ),
        ),
        seed=5,
    )


def epochs(data_loader, count=2):
    drawn = []
    for epoch in range(count):
        data_loader.sampler.set_epoch(epoch)
        drawn.append([sample for batch in data_loader for sample in batch])
    return drawn


@pytest.fixture(scope='module')
def in_main_process():
    return epochs(loader())


@pytest.mark.parametrize('workers, persistent', [(1, False), (2, True)])
def test_draws_do_not_depend_on_workers(in_main_process, workers, persistent):
    assert epochs(loader(workers, persistent)) == in_main_process


def test_every_sample_and_epoch_draws_anew(in_main_process):
    for column in (1, 2, 3):
        numbers = [s[column] for epoch in in_main_process for s in epoch]
        assert len(set(numbers)) == len(numbers) == 14


def test_order_is_that_of_the_sampler_alone(in_main_process):
    plain = samplers.DefaultSampler(Draws(), seed=5)
    for epoch, drawn in enumerate(in_main_process):
        plain.set_epoch(epoch)
        assert [s[0] for s in drawn] == list(plain)


def test_two_ranks_draw_what_one_does(in_main_process, monkeypatch):
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda r=rank: (r, 2))
        monkeypatch.setattr(
            seeded_sampler, 'get_dist_info', lambda r=rank: (r, 2)
        )
        shares.append(epochs(loader(), 1)[0])
    together = [s for pair in zip(*shares) for s in pair]
    assert together[:7] == in_main_process[0]  # the eighth fills up


def test_an_infinite_sampler_augments_each_pass_differently():
    drawn = []
    for batch in loader(kind='InfiniteSampler'):
        drawn += batch
        if len(drawn) >= 14:
            break
    assert sorted(s[0] for s in drawn[:7]) == list(range(7))
    assert len({s[1] for s in drawn}) == len(drawn)


def test_loading_leaves_the_generators_of_training_alone():
    data_loader = loader()
    data_loader.generator = torch.Generator()
    before = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )
    epochs(data_loader)
    after = (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )
    assert before == after


def test_restart_forgets_what_workers_fetched_ahead():
    sampler = SeededSampler(Draws(), dict(type='InfiniteSampler'), seed=5)
    first = [i for i, _ in zip(sampler, range(5))]
    assert [i for i, _ in zip(sampler, range(5))] != first
    sampler.restart()
    assert [i for i, _ in zip(sampler, range(5))] == first
    sampler.restart(6)
    assert [i for i, _ in zip(sampler, range(5))] != first


def test_a_dataset_that_loads_whole_batches():

    class Batches(Draws):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    one, other = (epochs(loader(dataset=Batches())) for _ in range(2))
    assert one == other and one[0] != one[1]


def test_an_index_travels_to_workers_and_is_an_integer():
    index = SampleIndex(3, (1, 2, 3))
    for same in (pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        assert same == 3 and same.seed == (1, 2, 3)
    assert list(range(9))[index] == 3


def test_the_rest_is_the_samplers_own():
    sampler = SeededSampler(Draws(), dict(type='DefaultSampler'), seed=5)
    assert len(sampler) == 7 and sampler.shuffle and sampler.round_up
    with pytest.raises(AttributeError):
        _ = sampler.nonsense
