# Copyright (c) mmdiffkd contributors.
"""Go on from the published results of an earlier sweep."""

import json
from pathlib import Path

from mmdiffkd.utils import UserError

from ..study.ledger import Ledger
from .conduct import config_rows
from .verdicts import EXCLUDED, PASSED


def take_over(folder: str, ledger: Ledger, method: str) -> int:
    """Take over what passed, and what its library itself could not train.

    What failed is tried again. So is a model whose config reads otherwise by
    now, or that could not even be built then. Whatever the ledger knows
    itself stays.

    Args:
        folder (str): As :func:`~.table.write` wrote it.
        ledger (Ledger): With the zoo, see :func:`~.conduct.prepare`.
        method (str): Of the earlier sweep.

    Returns:
        int: Number of models.

    Raises:
        UserError: If the folder has no such results.
    """
    files = sorted(Path(folder, 'compatibility').glob('*.jsonl'))
    if not files:
        raise UserError(
            f'{folder} has no compatibility/*.jsonl, which a sweep writes '
            'with --table'
        )
    marks = {
        row['config']: row.get('signature') for row in config_rows(ledger)
    }
    count = 0
    for file in files:
        for line in file.read_text(encoding='utf-8').splitlines():
            row = json.loads(line)
            found = {marks.get(name) for name in row['configs']}
            mark = found.pop()
            if found or mark is None:
                continue
            count += _add(row, mark, ledger, method)
    return count


def _add(row: dict, mark: str, ledger: Ledger, method: str) -> bool:
    pair = f'pair:{method}:{mark}'
    if ledger.get(pair) is not None or 'parameters' not in (
        ledger.get(f'model:{mark}') or {}
    ):
        return False
    if row['state'] == PASSED:
        ledger.append(dict(key=pair, teacher=row['teacher']))
    elif row['state'] == EXCLUDED and 'parameters' in row:
        base = ledger.get(f'base:{mark}')
        if base is None:
            ledger.append(dict(key=f'base:{mark}', error=row['detail']))
        elif 'error' not in base:
            return False
        ledger.append(dict(key=pair, error='not of the base set'))
    else:
        return False
    return True
