# Copyright (c) mmdiffkd contributors.
"""Times of several steps, taken side by side."""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.benchmark import timer

Clock = Callable[[], float]

Spread = dict[str, float]
"""``median``, ``low`` and ``high``: the quartiles."""


def clock_for(device: torch.device) -> tuple[str, Clock]:
    """What to time by, with its name.

    On a CPU and one thread, it is the time that the processor gives this
    process, so that others that wait for the same core do not count. Else
    it is that of the wall; a GPU finishes its work first.

    Args:
        device (torch.device): Where the steps run.

    Returns:
        tuple[str, Callable]: ``'processor'`` or ``'wall'``, and the clock,
        which gives seconds.
    """
    if device.type == 'cpu' and torch.get_num_threads() == 1:
        return 'processor', time.process_time
    return 'wall', timer


def interleaved(
    steps: Mapping[str, Callable[[], Any]],
    rounds: int,
    warm_up: int,
    clock: Clock = timer,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, list[float]]:
    """Time steps in rounds, each of which takes every step once.

    Other work on the machine then meets all of them alike. The order is drawn
    anew in each round, so that none always runs behind the same other one.

    Args:
        steps (Mapping[str, Callable]): By name.
        rounds (int): That count.
        warm_up (int): Rounds before them.
        clock (Callable): Gives seconds. Defaults to those of the wall, read
            when a GPU has finished its work.
        progress (Callable): Goes through the rounds and tells how far it is.
            Defaults to saying nothing.

    Returns:
        dict[str, list[float]]: Seconds of each step in each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    shuffle = random.Random(0).shuffle
    for i in progress(range(warm_up + rounds)):
        shuffle(order)
        for name in order:
            start = clock()
            steps[name]()
            taken = clock() - start
            if i >= warm_up:
                seconds[name].append(taken)
    return seconds


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of some values, at least one."""
    low, median, high = (
        statistics.quantiles(values, n=4, method='inclusive')
        if len(values) > 1
        else [*values] * 3
    )
    return dict(median=median, low=low, high=high)


def ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Median and quartiles of the ratios within each round.

    Args:
        values (Sequence[float]): Seconds of a step, round by round.
        others (Sequence[float]): Those of what it is compared with.
    """
    return spread([a / b for a, b in zip(values, others, strict=True)])
