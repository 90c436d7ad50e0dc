# Copyright (c) mmdiffkd contributors.
"""What a training left in its work dir: its logs, and a note at its end."""

import json
import os.path as osp
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.checkpoints.atomic import write_text_durably

TRAINED = 'trained.json'
"""Name of the note of a training that is over."""
BESIDE = {'step', 'iter', 'epoch', 'time', 'data_time', 'memory', 'lr'}
"""Numbers of a validation that are no result."""


class NoResult(RuntimeError):
    """A validation without the metric: so are those of the other runs."""


def write_note(folder: str, note: dict[str, Any]) -> None:
    """Note that a training is over, and what it had."""
    write_text_durably(osp.join(folder, TRAINED), json.dumps(note))


def read_note(folder: str, metric: str | None) -> dict[str, Any] | None:
    """The note of a training that is over.

    Args:
        folder (str): Its work dir.
        metric (str, optional): Name of the result. The log is read again
            where the note has another one. None: the result is as noted.

    Returns:
        Dict[str, Any] | None: None if there is no note. ``metric`` is that
        under which the training was noted.

    Raises:
        UserError: If the note cannot be read.
    """
    path = Path(folder, TRAINED)
    if not path.is_file():
        return None
    try:
        note = json.loads(read_log(path))
    except ValueError:
        raise UserError(f'{str(path)!r} is damaged') from None
    if metric is not None and note.get('metric') != metric:
        note['val'] = training_log(folder, metric)['val']
    return note


def training_log(folder: str, metric: str) -> dict[str, Any]:
    """What a run's logs tell.

    Args:
        folder (str): Work dir.
        metric (str): Name of the validation's result.

    Returns:
        Dict[str, Any]: ``val``, the last one, None if there is none;
        ``iterations``; ``seconds_per_iteration``, the median.
    """
    value: float | None = None
    times: list[float] = []
    iterations = 0
    for row in scalars(folder):
        if is_number(row.get(metric)):
            value = row[metric]
        if 'loss' in row:
            iterations = max(iterations, row.get('iter', row['step']))
            times += [row['time']] if 'time' in row else []
    return dict(
        val=value,
        iterations=iterations,
        seconds_per_iteration=round(median(times), 5) if times else None,
    )


def validated(folder: str) -> list[str]:
    """Names of all results that the validations in a run's logs have."""
    rows = [row for row in scalars(folder) if 'loss' not in row]
    names = {n for row in rows for n in row if is_number(row[n])}
    return sorted(names - BESIDE)


def scalars(folder: str) -> list[dict[str, Any]]:
    """Rows of all starts of a run, in their order."""
    rows = []
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in read_log(path).splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue  # a killed run leaves half of its last line
    return rows


def read_log(path: Path) -> str:
    """Its text: a log may hold any bytes, such as a file's name."""
    return path.read_text(encoding='utf-8', errors='replace')


def is_number(value: Any) -> bool:
    """Whether it can be a result; one that is not finite is a bad one."""
    return isinstance(value, (int, float))


def not_finite(value: Any) -> bool:
    """Whether it is a number, and NaN or infinite."""
    return is_number(value) and not isfinite(value)


def without(metric: str, names: Iterable[str]) -> str:
    """The rest of a sentence about results that lack the metric.

    Args:
        metric (str): What is absent.
        names (Iterable[str]): What is there.
    """
    names = sorted(names)
    if not names:
        return 'has no result; see `val_interval` and evaluators of its config'
    return (
        f'has no {metric!r}{closest(metric, names)}; it has '
        f'{", ".join(names)}. Change `metric`: what is trained is kept'
    )
