# Copyright (c) mmdiffkd contributors.
"""The page says no more than was seen."""

import json
from pathlib import Path

import pytest

from mmdiffkd.engine.sweep.table import page_of
from mmdiffkd.engine.sweep.verdicts import Verdict


def models(passed, failed=0, untried=0):
    states = ['passed'] * passed + ['failed'] * failed + ['untried'] * untried
    return [
        Verdict(
            'mmdet', 'gfl', [f'mmdet::gfl/{i}.py', f'mmdet::gfl/{i}b.py'], s
        )
        for i, s in enumerate(states)
    ]


@pytest.mark.parametrize(
    'passed, failed, share', [(3, 0, '100 %'), (199, 1, '99 %'), (0, 2, '0 %')]
)
def test_all_of_them_is_all(passed, failed, share):
    page = page_of(models(passed, failed), 'diffkd')
    count = passed + failed
    assert f'| {count} | {passed} | {share} |' in page
    assert f'**All of the zoo has been swept**: {count} models, ' in page
    assert f'{2 * count} configs' in page


def test_what_was_not_tried_is_said():
    page = page_of(models(2, untried=1), 'diffkd')
    assert '**Swept so far: 2 of 3 models, 4 of 6 configs**' in page
    assert '| 2 | 2 | 100 % |' in page


def test_readme_has_the_numbers_of_the_published_results():
    root = Path(__file__).parents[3]
    states = [
        json.loads(line)['state']
        for file in (root / 'docs/en/compatibility').glob('*.jsonl')
        for line in file.read_text().splitlines()
    ]
    passed = states.count('passed')
    tried = passed + states.count('failed')
    assert (
        f'{passed:,} of the {tried:,} stock'
        in (root / 'README.md').read_text()
    )
