# Copyright (c) mmdiffkd contributors.
"""The page on compatibility, and the results that it is made from."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mmdiffkd.utils.checkpoints.atomic import write_text_durably

from ..study.ledger import Ledger
from .exclusions import OTHER
from .verdicts import EXCLUDED, FAILED, PASSED, UNTRIED, Verdict, verdicts
from .zoo import LIBRARIES

HEAD = """# Compatibility

Which stock models of MMDetection, MMSegmentation and MMPretrain can be
distilled? `mmdiffkd zoo-sweep` wrote this page, and the results in the folder
`compatibility` beside it, a JSON line for each model.

Every config that a library ships was looked at. Configs whose models are equal
(other schedules, data or tests) count as one model. The *base set* are the
models that their own library builds and trains for one step on a CPU, on
random images of a small size, without downloads, within a limit of time and
memory; a pair may take twice of both. Each of them was the student of a
larger model of its folder, else of itself, for one step of the method
`{method}`: `make-config`, build, a step of the config's own optimizer (finite
losses, a gradient in the student), export, and the stock library opens the
export and predicts. It says that a pair starts, not that it gains. Teachers
have random weights.
"""


def write(ledger: Ledger, folder: str, method: str) -> str:
    """Write the page and a file of results for each library.

    Args:
        ledger (Ledger): Results of a sweep.
        folder (str): Gets ``compatibility.md``, and ``compatibility/`` with
            a ``.jsonl`` for each library.
        method (str): Whose pairs count.

    Returns:
        str: What was written, in a line.
    """
    found = verdicts(ledger, method)
    page = Path(folder, 'compatibility.md')
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_durably(str(page), page_of(found, method))
    data = page.with_suffix('')
    data.mkdir(exist_ok=True)
    for library in LIBRARIES:
        lines = [
            json.dumps({k: v for k, v in one._asdict().items() if v}) + '\n'
            for one in found
            if one.library == library
        ]
        write_text_durably(str(data / f'{library}.jsonl'), ''.join(lines))
    return f'{page}: {len(found)} models'


def page_of(found: Sequence[Verdict], method: str) -> str:
    """The page as Markdown."""
    parts = [HEAD.format(method=method), _swept(found), _totals(found)]
    for library in LIBRARIES:
        own = [one for one in found if one.library == library]
        if own:
            parts += [f'## {library}\n', _families(own), _failures(own)]
            parts.append(_exclusions(own))
    return '\n'.join(parts)


def _swept(found: Sequence[Verdict]) -> str:
    untried = [one for one in found if one.state == UNTRIED]
    if not untried:
        return (
            f'**All of the zoo has been swept**: {len(found)} models, '
            f'{_configs(found)} configs.\n'
        )
    tried = len(found) - len(untried)
    return (
        f'**Swept so far: {tried} of {len(found)} models, '
        f'{_configs(found) - _configs(untried)} of {_configs(found)} '
        'configs**, the smallest of each folder first, then the second '
        'smallest, and so on. Nothing is known of the rest.\n'
    )


def _totals(found: Sequence[Verdict]) -> str:
    rows = [
        '| library | configs | models | excluded | base set, tried | '
        'passed | share |',
        '|---|---|---|---|---|---|---|',
    ]
    for library in LIBRARIES:
        own = [one for one in found if one.library == library]
        count = Counter(one.state for one in own)
        base = count[PASSED] + count[FAILED]
        # Rounded down: 100 % is all of them.
        share = f'{100 * count[PASSED] // base} %' if base else ''
        rows.append(
            f'| {library} | {_configs(own)} | {len(own)} | '
            f'{count[EXCLUDED]} | {base} | {count[PASSED]} | {share} |'
        )
    return '\n'.join(rows) + '\n'


def _families(found: Sequence[Verdict]) -> str:
    rows = [
        '| folder | configs | models | excluded | passed | failed | '
        'not tried |',
        '|---|---|---|---|---|---|---|',
    ]
    families: dict[str, list[Verdict]] = defaultdict(list)
    for one in found:
        families[one.family].append(one)
    for family, own in sorted(families.items()):
        count = Counter(one.state for one in own)
        states = (EXCLUDED, PASSED, FAILED, UNTRIED)
        cells = ' | '.join(str(count[state] or '') for state in states)
        rows.append(f'| {family} | {_configs(own)} | {len(own)} | {cells} |')
    return '\n'.join(rows) + '\n'


def _failures(found: Sequence[Verdict]) -> str:
    failed = [one for one in found if one.state == FAILED]
    if not failed:
        return ''
    rows = [
        '### Failures\n',
        '| student | teacher | at | error |',
        '|---|---|---|---|',
    ]
    for one in failed:
        more = len(one.configs) - 1
        name = one.configs[0].partition('::')[2]
        rows.append(
            f'| `{name}`{f" and {more} equal" if more else ""} | '
            f'{_other(one)} | {one.stage} | {_cell(one.reason)} |'
        )
    return '\n'.join(rows) + '\n'


def _other(one: Verdict) -> str:
    same = one.teacher in one.configs
    return 'itself' if same else f'`{one.teacher.partition("::")[2]}`'


def _exclusions(found: Sequence[Verdict]) -> str:
    classes: dict[str, list[Verdict]] = defaultdict(list)
    for one in found:
        if one.state == EXCLUDED:
            classes[one.reason].append(one)
    if not classes:
        return ''
    rows = [
        '### Not in the base set\n',
        '| reason | models | configs | such as |',
        '|---|---|---|---|',
    ]
    for why, own in sorted(classes.items(), key=lambda x: (-len(x[1]), x[0])):
        name = own[0].configs[0].partition('::')[2]
        more = _cell(own[0].detail) if why == OTHER else ''
        rows.append(
            f'| {_cell(why)} | {len(own)} | {_configs(own)} | `{name}`'
            f'{": " if more else ""}{more} |'
        )
    return '\n'.join(rows) + '\n'


def _configs(found: Sequence[Verdict]) -> int:
    return sum(len(one.configs) for one in found)


def _cell(text: str) -> str:
    return text.replace('|', '\\|').replace('\n', ' ')[:300]
