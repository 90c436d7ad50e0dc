# Copyright (c) mmdiffkd contributors.
"""Augmentation that depends on the sample only, not on who loads it."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS as MMENGINE_SAMPLERS
from torch.utils.data import Sampler

from mmdiffkd.registry import DATA_SAMPLERS
from mmdiffkd.utils.rng import isolated_rng


class SampleIndex(int):
    """Index of a sample, with the seed of its augmentation.

    Attributes:
        seed (tuple[int]): Seed of the run, epoch, and the position of the
            sample in the order of that epoch over all ranks.
    """

    seed: tuple

    def __new__(cls, index: int, seed: Sequence[int]) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.seed = tuple(seed)
        return self

    def __reduce__(self) -> tuple:
        return SampleIndex, (int(self), self.seed)


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler):
    """Any sampler, whose samples bring the seed of their augmentation along.

    MMEngine seeds each worker once. So what is drawn for a sample depends on
    the number of workers, is lost when a run is resumed, and repeats in every
    epoch with ``persistent_workers=False``. Here the generators of Python,
    NumPy and PyTorch are seeded for each sample with
    ``SeedSequence([seed, epoch, position])``, and are given back afterwards.
    Augmentation then depends neither on the workers, nor on how the samples
    are spread over ranks, nor on whether the run was resumed; and loading
    data in the main process does not touch the generators of training.

    Samples that are not named by an integer are left as they are.

    Args:
        dataset (Any): The dataset; gets a method ``__getitems__``, which a
            data loader calls with the indices of a batch.
        sampler (dict): Config of the sampler.
        seed (int, optional): Seed of the run, equal on all ranks. Defaults
            to None: a number that the ranks agree on.
    """

    seed: int

    def __init__(
        self, dataset: Any, sampler: dict, seed: int | None = None
    ) -> None:
        self.dataset = dataset
        self.epoch = 0
        self._config = sampler
        self.restart(sync_random_seed() if seed is None else seed)
        if not isinstance(
            getattr(dataset, '__getitems__', None), _SeededLoading
        ):
            dataset.__getitems__ = _SeededLoading(dataset)

    def restart(self, seed: int | None = None) -> None:
        """Build the sampler again, as if nothing had been drawn from it.

        Args:
            seed (int, optional): Another seed. Defaults to None: the same.
        """
        self.seed = self.seed if seed is None else seed
        self.sampler = MMENGINE_SAMPLERS.build(
            self._config,
            default_args=dict(dataset=self.dataset, seed=self.seed),
        )

    def __getattr__(self, name: str) -> Any:
        if name in ('sampler', 'seed'):  # not yet, while being built
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle and augment differently in each epoch."""
        self.epoch = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[Any]:
        rank, world_size = get_dist_info()
        seed, epoch = self.seed, self.epoch
        for count, index in enumerate(self.sampler):
            if isinstance(index, (int, np.integer)):
                # Samplers deal their indices out to the ranks in turn.
                position = count * world_size + rank
                index = SampleIndex(int(index), (seed, epoch, position))
            yield index


class _SeededLoading:
    """The method ``__getitems__`` of a dataset.

    Args:
        dataset: Loads one sample for one index.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.batch = getattr(dataset, '__getitems__', None)

    def __call__(self, indices: Sequence[Any]) -> list[Any]:
        with isolated_rng():
            if self.batch is not None:  # the dataset's own
                _seed(indices[0])
                return self.batch([_plain(index) for index in indices])
            samples = []
            for index in indices:
                _seed(index)
                samples.append(self.dataset[_plain(index)])
            return samples


def _plain(index: Any) -> Any:
    return int(index) if isinstance(index, SampleIndex) else index


def _seed(index: Any) -> None:
    """Seed the global generators of the CPU."""
    if not isinstance(index, SampleIndex):
        return
    words = np.random.SeedSequence(index.seed).generate_state(6)
    random.seed(int.from_bytes(words[:2].tobytes(), 'little'))
    np.random.seed(words[2:4])
    # Not `torch.manual_seed`, which would seed the GPU of training as well.
    torch.default_generator.manual_seed(
        int.from_bytes(words[4:].tobytes(), 'little', signed=True)
    )
