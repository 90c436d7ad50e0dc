# Copyright (c) mmdiffkd contributors.
"""Read the scalars that MMEngine's LocalVisBackend writes during a run."""

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmdiffkd.utils import UserError

# Iterations (or steps) and values of one logged quantity.
Curve = tuple[np.ndarray, np.ndarray]


class RunLog(NamedTuple):
    """What one training run logged.

    Attributes:
        train (Dict[str, Curve]): Quantities logged while training, each
            against the iteration.
        val (Dict[str, Curve]): Validation metrics, each against the
            iteration at which the model was validated.
    """

    train: dict[str, Curve]
    val: dict[str, Curve]

    def families(self) -> dict[str, dict[str, Curve]]:
        """Group what the distillation logged: one family a quantity.

        Returns:
            Dict[str, Dict[str, Curve]]: Curves by family and level.
            ``distill.loss_kd_p3`` is level ``p3`` of ``loss_kd``, and
            ``distill.diff_p3.loss_diff`` is level ``p3`` of ``loss_diff``.
            A level is what a connector is named after, or ends in a number.
            A quantity that belongs to no level has the level ``''``.
        """
        names = {
            key[len('distill.') :]: curve
            for key, curve in self.train.items()
            if key.startswith('distill.')
        }
        owners = {name.rpartition('.')[0] for name in names} - {''}
        levels = {owner.split('_')[-1] for owner in owners}
        found: dict[str, dict[str, Curve]] = defaultdict(dict)
        for name in sorted(names):
            family, level = _split_name(name, levels)
            found[family][level] = names[name]
        return dict(found)


def find_log(work_dir: str | Path, pattern: str) -> Path:
    """Return the newest file of a run that matches a pattern.

    MMEngine gives every start of a run a folder of its own, named by the
    time.

    Args:
        work_dir (str | Path): Work folder of the run.
        pattern (str): Glob below it.
    """
    found = sorted(Path(work_dir).glob(pattern))
    if not found:
        raise UserError(
            f'{work_dir} holds no {pattern}: did the run finish '
            'its first iterations?'
        )
    return found[-1]


def read_scalars(path: str | Path) -> list[dict]:
    """Read the numbers of a file of one JSON object a line.

    A last line that a killed run left half written is dropped; any other
    that cannot be read is an error.
    """
    # Bytes, of which a damaged file may hold any.
    lines = Path(path).read_bytes().splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                row = None
        except ValueError:
            if number == len(lines):
                break
            row = None
        if row is None:
            raise UserError(
                f'{path}, line {number}: not a JSON object. '
                'Is this a scalars.json of MMEngine?'
            )
        # Somebody may have logged a word.
        numbers = {k: v for k, v in row.items() if isinstance(v, (int, float))}
        rows.append(numbers)
    return rows


def read_run(work_dir: str | Path) -> RunLog:
    """Read the log of a run, of all its starts if it was resumed.

    Where a start repeats iterations of an earlier one, its own count; one
    that begins anew replaces all before it.

    Args:
        work_dir (str | Path): Work folder that the run was given.
    """
    pattern = '*/vis_data/scalars.json'
    find_log(work_dir, pattern)
    rows: list[tuple[int, dict]] = []
    for path in sorted(Path(work_dir).glob(pattern)):
        own = read_scalars(path)
        begin = next((row['iter'] for row in own if 'iter' in row), None)
        if begin is not None:
            rows = [(at, row) for at, row in rows if at < begin]
        iteration = rows[-1][0] if rows else 0
        for row in own:
            iteration = row.get('iter', iteration)  # only training logs one
            rows.append((iteration, row))
    train: dict[str, list] = defaultdict(list)
    val: dict[str, list] = defaultdict(list)
    for iteration, row in rows:
        kept = train if 'iter' in row else val
        for key, value in row.items():
            if key not in ('iter', 'step', 'epoch'):
                kept[key].append((iteration, value))
    return RunLog(_to_curves(train), _to_curves(val))


def read_metrics(work_dir: str) -> dict[str, float]:
    """Read what the newest test run below a folder measured.

    Args:
        work_dir (str): Work folder that ``mmdiffkd test`` was given.

    Returns:
        Dict[str, float]: Such as ``coco/bbox_mAP``.
    """
    path = find_log(work_dir, '*/*.json')
    return json.loads(path.read_text())


def _split_name(name: str, levels: set[str]) -> tuple[str, str]:
    """Split a logged name into family and level."""
    owner, _, quantity = name.rpartition('.')
    prefix, _, last = (owner or quantity).rpartition('_')
    if owner:
        return quantity, last
    # loss_kd_p3, loss_kd_logits, but not loss_kd
    if last in levels or last[-1].isdigit():
        return prefix, last
    return name, ''


def _to_curves(points: dict[str, list]) -> dict[str, Curve]:
    """Turn lists of (iteration, value) into pairs of arrays."""
    curves = {}
    for key, rows in points.items():
        steps, values = zip(*rows)
        curves[key] = np.array(steps, float), np.array(values, float)
    return curves
