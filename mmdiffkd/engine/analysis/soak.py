# Copyright (c) mmdiffkd contributors.
"""Train for long, and see whether memory, files and speed stay as they are."""

import os
import time
from statistics import median
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from . import without_validation

POINTS = 40


class Sample(NamedTuple):
    """What the main process uses at one moment.

    Attributes:
        iteration (int): Iterations done.
        rss (float): Resident memory, in MiB.
        files (int): Open files.
        step (float): Mean time of an iteration since the sample before, ms.
    """

    iteration: int
    rss: float
    files: int
    step: float


class ResourceHook(Hook):
    """Sample the use of resources, without touching the training.

    Not registered: :func:`soak` adds it.

    Args:
        interval (int): In iterations.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.samples: list[Sample] = []
        self._since = 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        self._since = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        now = time.perf_counter()
        step = (now - self._since) / self.interval * 1000
        self._since = now
        self.samples.append(
            Sample(
                runner.iter + 1,
                resident_memory(),
                len(os.listdir('/proc/self/fd')),
                step,
            )
        )


class Report(NamedTuple):
    """The second quarter of a run against its last.

    Attributes:
        samples (list[Sample]): All samples.
        rss_growth (float): In MiB.
        files_growth (int): Open files.
        step_ratio (float): Time of an iteration, last over second quarter.
    """

    samples: list[Sample]
    rss_growth: float
    files_growth: int
    step_ratio: float

    @property
    def flat(self) -> bool:
        """Whether memory and files stayed as they were after warm-up.

        MMEngine's log in memory grows by 16 bytes per value and iteration;
        2 % or 8 MiB are allowed.
        """
        allowed = max(8.0, 0.02 * self.samples[-1].rss)
        return self.rss_growth < allowed and self.files_growth <= 0

    @property
    def steady(self) -> bool:
        """Whether an iteration takes no longer than after warm-up.

        A quarter is allowed for what else the machine does.
        """
        return self.step_ratio < 1.25

    def __str__(self) -> str:
        lines = ['iteration   RSS (MiB)   open files   ms/iteration']
        lines += [
            f'{s.iteration:9d}   {s.rss:9.1f}   {s.files:10d}   {s.step:12.1f}'
            for s in self.samples
        ]
        lines.append(
            f'last against second quarter: RSS {self.rss_growth:+.1f} MiB, '
            f'open files {self.files_growth:+d}, time of an iteration '
            f'x {self.step_ratio:.2f}'
        )
        return '\n'.join(lines)


def soak_config(cfg: Config, iterations: int) -> Config:
    """Make a config train for a number of iterations, and save some times.

    Args:
        cfg (Config): Training config, changed in place.
        iterations (int): How long.

    Returns:
        Config: The same.
    """
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop',
        max_iters=iterations,
        val_interval=iterations + 1,
    )
    cfg.param_scheduler = None
    without_validation(cfg)
    sampler = cfg.train_dataloader.get('sampler')
    inner = (sampler or {}).get('sampler', sampler)
    if 'Infinite' not in str((inner or {}).get('type')):
        cfg.train_dataloader.sampler = dict(
            type='InfiniteSampler', shuffle=True
        )
    hooks = dict(cfg.get('default_hooks') or {})
    hooks['checkpoint'] = dict(
        type='mmdiffkd.AtomicCheckpointHook',
        by_epoch=False,
        interval=max(iterations // 5, 1),
        max_keep_ckpts=1,
    )
    cfg.default_hooks = hooks
    return cfg


def soak(runner: Runner) -> Report:
    """Train and watch.

    Args:
        runner (Runner): Of a config from :func:`soak_config`.

    Returns:
        Report: What was seen.
    """
    hook = ResourceHook(max(runner.max_iters // POINTS, 1))
    runner.register_hook(hook)
    runner.train()
    samples = hook.samples
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    return Report(
        samples,
        median(s.rss for s in last) - median(s.rss for s in second),
        max(s.files for s in last) - max(s.files for s in second),
        median(s.step for s in last) / median(s.step for s in second),
    )


def resident_memory() -> float:
    """Resident memory of this process, in MiB."""
    with open('/proc/self/statm') as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20
