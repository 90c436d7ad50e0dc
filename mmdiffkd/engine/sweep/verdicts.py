# Copyright (c) mmdiffkd contributors.
"""What a sweep has found out about each model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..study.ledger import Ledger
from .conduct import config_rows
from .exclusions import reason

PASSED, FAILED, EXCLUDED, UNTRIED = 'passed', 'failed', 'excluded', 'untried'


class Verdict(NamedTuple):
    """A model, under all configs that hold it.

    Attributes:
        library (str): Its library.
        family (str): Folder of its first config.
        configs (Sequence[str]): Names of its configs, at least one.
        state (str): ``'passed'`` or ``'failed'`` as a student; ``'excluded'``
            from the base set; ``'untried'``.
        reason (str): Class of the exclusion, or the error of the failure.
        detail (str): What the library said, of an exclusion.
        teacher (str): Config of its teacher, if it was tried.
        stage (str): At which it failed, see
            :func:`~.pair_trial.pair_trial`.
        parameters (float): In millions; 0 if it cannot be built.
    """

    library: str
    family: str
    configs: Sequence[str]
    state: str
    reason: str = ''
    detail: str = ''
    teacher: str = ''
    stage: str = ''
    parameters: float = 0.0


def verdicts(ledger: Ledger, method: str) -> list[Verdict]:
    """One verdict for each model of the zoo, in the order of its configs.

    Args:
        ledger (Ledger): Results of a sweep.
        method (str): Whose pairs count.
    """
    models: dict[str, list[dict[str, Any]]] = {}
    for row in config_rows(ledger):
        models.setdefault(row.get('signature', row['config']), []).append(row)
    return [
        _verdict(mark, rows, ledger, method) for mark, rows in models.items()
    ]


def _verdict(
    mark: str, rows: list[dict[str, Any]], ledger: Ledger, method: str
) -> Verdict:
    first = rows[0]
    names = [row['config'] for row in rows]
    common = (first['library'], first['family'], names)
    size = ledger.get(f'model:{mark}') or {}
    pair = ledger.get(f'pair:{method}:{mark}')
    base = ledger.get(f'base:{mark}')
    outside = first.get('excluded') or size.get('excluded')
    # A model that cannot even be built is not tried any further.
    outside = outside or size.get('error') or (base or {}).get('error')
    parameters = size.get('parameters', 0.0)
    if pair is not None and 'error' not in pair:
        teacher = pair['teacher']
        return Verdict(*common, PASSED, '', '', teacher, '', parameters)
    if outside:
        why = reason(outside)
        return Verdict(
            *common, EXCLUDED, why, outside[:300], parameters=parameters
        )
    if pair is None or base is None:
        return Verdict(*common, UNTRIED, parameters=parameters)
    place = f' ({pair["where"]})' if pair.get('where') else ''
    return Verdict(
        *common,
        FAILED,
        pair['error'] + place,
        '',
        pair.get('teacher', ''),
        pair.get('stage', ''),
        parameters,
    )
