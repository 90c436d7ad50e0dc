# Copyright (c) mmdiffkd contributors.
"""How long an iteration of each method takes."""

from statistics import median
from typing import Any

from .definition import Study
from .ledger import Ledger


def seconds(row: dict[str, Any], clock: str) -> float | None:
    """Seconds an iteration of one run.

    Args:
        row (dict): A result.
        clock (str): ``'wall'``, the median of the log; ``'cpu'``, the
            processor's time of the whole training, start and validation
            included, over its iterations.

    Returns:
        float | None: None where it was not measured; ``'cpu'`` knows nothing
        of what a resumed run took before.
    """
    if clock == 'wall':
        return row.get('seconds_per_iteration')
    if row.get('resumed') or not row.get('iterations'):
        return None
    return row['cpu_seconds'] / row['iterations']


def seconds_per_iteration(
    study: Study, ledger: Ledger, data_set: str, method: str
) -> float | None:
    """Median over the runs of the comparison at equal iterations."""
    found = [
        seconds(row, study.clock)
        for row in ledger.rows(
            data_set=data_set, method=method, purpose=study.purposes[0]
        )
    ]
    known = [s for s in found if s]
    return median(known) if known else None


def time_factors(
    study: Study, ledger: Ledger, data_set: str
) -> dict[str, float]:
    """What each method's iterations are multiplied by at equal time.

    Args:
        study (Study): Its ``equal_time`` names the method of factor 1.
        ledger (Ledger): With the comparison at equal iterations.
        data_set (str): Name.

    Returns:
        Dict[str, float]: Factor by method, of those that were measured;
        rounded. Where runs at equal time are there already, it is theirs, so
        that a seed that joins later is of the same length.
    """
    took = {
        method: seconds_per_iteration(study, ledger, data_set, method)
        for method in study.data_sets[data_set].methods
    }
    reference = took.get(study.equal_time or '')
    if reference is None:
        return {}
    factors = {m: round(reference / s, 2) for m, s in took.items() if s}
    for row in ledger.rows(data_set=data_set, purpose='time'):
        if row['method'] in factors and 'factor' in row:
            factors[row['method']] = row['factor']
    return factors
