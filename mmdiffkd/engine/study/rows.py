# Copyright (c) mmdiffkd contributors.
"""A row of the ledger: what a run is called, and what it had."""

import os.path as osp
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import mmdiffkd

from .definition import Study
from .ledger import Ledger
from .run import DIFFUSION, Run

LOSS_DIFF = 'loss_diff'
"""Result of diffusion models, whatever the metric of the students."""


def metric_of(study: Study, run: Run) -> str:
    """Name of a run's result."""
    if run.purpose == DIFFUSION:
        return LOSS_DIFF
    return study.data_sets[run.data_set].metric


def own_rows(
    study: Study, ledger: Ledger, data_set: str, **values: Any
) -> Iterator[dict[str, Any]]:
    """Rows of a data set by its metric; those of another one do not count."""
    metric = study.data_sets[data_set].metric
    return ledger.rows(data_set=data_set, metric=metric, **values)


def called(study: Study, run: Run) -> dict[str, str]:
    """What tells rows of one key apart."""
    return dict(
        data_set=run.data_set,
        method=run.method,
        purpose=run.purpose,
        metric=metric_of(study, run),
    )


def new_row(
    study: Study, run: Run, result: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """The row of a run that has just been made."""
    return dict(
        result,
        **more,
        **called(study, run),
        **_factor(run),
        key=run.key,
        study=study.name,
        config=run.config,
        options=dict(run.options),
        seed=run.seed,
    )


def same_row(study: Study, ledger: Ledger, run: Run) -> dict[str, Any] | None:
    """A row of the same run under other names, under those of this one.

    So a method that was renamed, and two that come to the same, share a
    training.

    Returns:
        Dict[str, Any] | None: None if there is none that tells the metric.
        A training that diverged did so by any metric.
    """
    names = called(study, run)
    found = [
        row
        for row in ledger.rows(key=run.key)
        if row.get('metric') == names['metric']
        or ('error' in row and 'seconds' not in row)
    ]
    if not found:
        return None
    row = min(found, key=lambda row: 'error' in row)
    row = {name: value for name, value in row.items() if name != 'factor'}
    return dict(row, **names, **_factor(run), config=run.config)


def _factor(run: Run) -> dict[str, float]:
    return {'factor': run.factor} if run.factor else {}


def commit() -> str:
    """The commit of this checkout, marked if files differ from it."""
    root = osp.dirname(osp.dirname(osp.abspath(mmdiffkd.__file__)))
    try:
        return subprocess.run(
            ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f'v{mmdiffkd.__version__}'
