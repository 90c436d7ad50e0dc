# Copyright (c) mmdiffkd contributors.
"""Runs of the same config as one: mean and deviation of what they logged."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmdiffkd.utils import UserError, closest

from .run_configs import config_name, differences
from .run_log import Curve, RunLog, read_run

TASK_LOSS = 'task loss'
"""The student's own losses together, with a teacher and without."""

NOT_SHOWN = ('time', 'data_time', 'lr', 'base_lr', 'memory', 'grad_norm')

DEFAULT = (TASK_LOSS, 'loss_kd', 'loss_diff', 'gamma_mean')
"""Quantities that are drawn unless told otherwise, where they are logged."""


class Band(NamedTuple):
    """A quantity over several runs.

    Attributes:
        steps (np.ndarray): Iterations that all of the runs have logged.
        mean (np.ndarray): Over the runs, of the same length.
        deviation (np.ndarray | None): Standard deviation over the runs (with
            n - 1), likewise; None of a single run.
    """

    steps: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray | None


class RunGroup(NamedTuple):
    """Runs that are drawn as one curve.

    Attributes:
        name (str): Of their config, or as was asked for.
        runs (list[RunLog]): What they logged.
        folders (list[Path]): Their work folders.
    """

    name: str
    runs: list[RunLog]
    folders: list[Path]

    def mixed(self) -> list[str]:
        """Keys of the config in which the runs differ, seeds aside."""
        first, *others = self.folders
        return list(
            dict.fromkeys(
                key for other in others for key in differences(first, other)
            )
        )

    def quantities(self) -> list[str]:
        """Quantities that each of the runs has, in the order of the log."""
        first, *others = map(_quantities, self.runs)
        return [key for key in first if all(key in own for own in others)]

    def curves(self, key: str) -> list[Curve]:
        """A quantity of each run; the mean over its levels if it has any."""
        return [_quantities(run)[key] for run in self.runs]

    def levels(self, key: str) -> dict[str, Band]:
        """Bands of the levels of a quantity, where all runs have them."""
        families = [run.families().get(key, {}) for run in self.runs]
        return {
            level: band_of([own[level] for own in families])
            for level in families[0]
            if all(level in own for own in families)
        }

    def band(self, key: str) -> Band:
        """Mean and deviation of a quantity over the runs."""
        return band_of(self.curves(key))


def read_groups(places: Iterable[str]) -> list[RunGroup]:
    """Read runs, and put those of one config together.

    Args:
        places (Iterable[str]): Work folders, or ``NAME=FOLDER`` to put the
            folder into the group NAME.

    Returns:
        list[RunGroup]: In the order of their first runs.

    Raises:
        UserError: If a folder does not exist, holds no log, or is named twice.
    """
    groups: dict[str, RunGroup] = {}
    seen: set[Path] = set()
    for place in places:
        name, folder = _split(place)
        if not folder.is_dir():
            raise UserError(f'work dir {folder} does not exist')
        if folder.resolve() in seen:
            raise UserError(f'work dir {folder} is named twice')
        seen.add(folder.resolve())
        run = read_run(folder)
        if not run.train:
            raise UserError(f'{folder} has logged no iteration yet')
        name = name or config_name(folder)
        group = groups.setdefault(name, RunGroup(name, [], []))
        group.runs.append(run)
        group.folders.append(folder)
    return list(groups.values())


def choose_keys(
    groups: Sequence[RunGroup], asked: Sequence[str] | None = None
) -> list[str]:
    """Quantities to draw.

    Args:
        groups (Sequence[RunGroup]): The runs.
        asked (Sequence[str], optional): Names as logged, or families such
            as ``loss_diff``. Defaults to None: :data:`DEFAULT`, the sum of
            the losses, and the first metric of the validation.

    Raises:
        UserError: If no group has one of those asked for.
    """
    known = list(dict.fromkeys(key for g in groups for key in g.quantities()))
    if asked is None:
        metrics = [
            key
            for group in groups
            for key in group.runs[0].val
            if key in known and key not in NOT_SHOWN
        ]
        chosen = [*metrics[:1], *DEFAULT[:1], 'loss', *DEFAULT[1:]]
        return [key for key in chosen if key in known]
    for key in asked:
        if key not in known:
            raise UserError(
                f"--keys: no run has logged '{key}'{closest(key, known)}"
            )
    return list(dict.fromkeys(asked))


def band_of(curves: Sequence[Curve]) -> Band:
    """Mean and deviation of curves at the iterations that all of them have.

    Args:
        curves (Sequence[Curve]): One of each run, at least one.
    """
    steps = curves[0][0]
    for other, _ in curves[1:]:
        steps = np.intersect1d(steps, other)
    values = np.stack([_at(curve, steps) for curve in curves])
    deviation = values.std(axis=0, ddof=1) if len(curves) > 1 else None
    return Band(steps, values.mean(axis=0), deviation)


def _at(curve: Curve, steps: np.ndarray) -> np.ndarray:
    """Values of a curve at some of its iterations; the last of equal ones."""
    return np.array([dict(zip(*curve))[step] for step in steps], float)


def _quantities(run: RunLog) -> dict[str, Curve]:
    """All curves of a run by name, and those that are made of several."""
    curves = {**run.val, **run.train}
    own = [
        curve
        for key, curve in run.train.items()
        if key.startswith('student.') and 'loss' in key
    ]
    if own:
        curves[TASK_LOSS] = _together(own, np.sum)
    elif 'loss' in run.train:
        curves[TASK_LOSS] = run.train['loss']
    for family, levels in run.families().items():
        curves.setdefault(family, _together(list(levels.values()), np.mean))
    return curves


def _together(curves: Sequence[Curve], how: Callable) -> Curve:
    """Sum or mean of the curves of one run."""
    steps = band_of(curves).steps
    return steps, how([_at(curve, steps) for curve in curves], axis=0)


def _split(place: str) -> tuple[str, Path]:
    """Name of the group, if one was asked for, and the folder."""
    name, sign, folder = place.partition('=')
    if not sign or Path(place).is_dir():
        return '', Path(place)
    return name, Path(folder)
