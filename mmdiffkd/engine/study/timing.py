# Copyright (c) mmdiffkd contributors.
"""How long an iteration of each method takes."""

from statistics import median
from typing import Any

from .definition import Study
from .ledger import Ledger
from .rows import own_rows


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


def seconds_of(row: dict[str, Any], clock: str) -> float:
    """Seconds of one whole training."""
    return row['seconds' if clock == 'wall' else 'cpu_seconds']


def measured(
    study: Study, ledger: Ledger, data_set: str, method: str
) -> dict[int, float]:
    """Seconds an iteration by seed, in the comparison at equal iterations."""
    found = {
        row['seed']: seconds(row, study.clock)
        for row in own_rows(
            study, ledger, data_set, method=method, purpose=study.purposes[0]
        )
    }
    return {seed: s for seed, s in found.items() if s}


def unmeasured(
    study: Study, ledger: Ledger, data_set: str, method: str
) -> str:
    """Why a method has no factor: a part of a sentence."""
    for name in dict.fromkeys([study.equal_time or '', method]):
        if not measured(study, ledger, data_set, name):
            return f'since every run of {name!r} failed, ' + (
                'or was too short for a line of its log'
                if study.clock == 'wall'
                else "was too short, or was resumed, which clock = 'cpu' "
                'cannot measure'
            )
    return f'since no seed was measured of both {study.equal_time!r} and it'


def time_ratio(
    ours: dict[int, float], theirs: dict[int, float]
) -> float | None:
    """How many times as long ours takes.

    Args:
        ours (Dict[int, float]): Seconds an iteration by seed.
        theirs (Dict[int, float]): Likewise.

    Returns:
        float | None: Median over the seeds that both have: one seed is run on
        one machine at about one time, others may be of a faster one. None if
        there is no such seed.
    """
    ratios = [ours[seed] / theirs[seed] for seed in ours.keys() & theirs]
    return median(ratios) if ratios else None


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
        method: measured(study, ledger, data_set, method)
        for method in study.data_sets[data_set].methods
    }
    named = study.equal_time or ''
    reference = took.get(named, {})
    factors = {
        method: round(ratio, 2)
        for method, ours in took.items()
        if (ratio := time_ratio(reference, ours))
    }
    for row in ledger.rows(data_set=data_set, purpose='time'):
        if row['method'] in factors and 'factor' in row:
            factors[row['method']] = row['factor']
    factors[named] = 1  # measured or not
    return factors
