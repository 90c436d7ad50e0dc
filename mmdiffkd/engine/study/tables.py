# Copyright (c) mmdiffkd contributors.
"""Tables of a study, from its results alone."""

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from statistics import mean, median, stdev
from typing import NamedTuple

from scipy.stats import t as student_t

from .definition import Study
from .ledger import Ledger
from .plan import diffusion_run, is_of, teacher_run
from .rows import own_rows
from .timing import measured, seconds_of, time_factors, time_ratio

TITLES = {
    'test': 'equal iterations',
    'time': 'equal time',
    'explore': 'exploration',
}
FIELDS = {'test': 'test', 'time': 'test', 'explore': 'val'}
"""Where a row has the result that runs of a purpose are compared by."""


class Difference(NamedTuple):
    """A paired difference with its 95 % interval.

    Attributes:
        mean (float): Of the differences.
        low (float | None): Lower end; None where there are fewer than two
            pairs.
        high (float | None): Upper end.
        pairs (int): How many seeds both have.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int


def paired_difference(
    ours: dict[int, float], theirs: dict[int, float], level: float = 0.95
) -> Difference | None:
    """Compare two methods seed by seed, by Student's t.

    Args:
        ours (Dict[int, float]): Result by seed.
        theirs (Dict[int, float]): Likewise; seeds that one side lacks are
            left out.
        level (float): Of the interval. Defaults to 0.95.

    Returns:
        Difference | None: None if they share no seed.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return None
    differences = [ours[seed] - theirs[seed] for seed in shared]
    middle, count = mean(differences), len(differences)
    if count < 2:
        return Difference(middle, None, None, count)
    half = (
        student_t.ppf((1 + level) / 2, count - 1)
        * stdev(differences)
        / sqrt(count)
    )
    return Difference(middle, middle - half, middle + half, count)


def results(
    study: Study, ledger: Ledger, data_set: str, method: str, purpose: str
) -> dict[int, float]:
    """Results by seed, on the images of that purpose."""
    if purpose == 'time' and (
        time_factors(study, ledger, data_set).get(method) == 1
    ):
        purpose = 'test'  # the same runs, which are not made twice
    field = FIELDS[purpose]
    return {
        row['seed']: row[field]
        for row in own_rows(
            study, ledger, data_set, method=method, purpose=purpose
        )
        if 'error' not in row and row.get(field) is not None
    }


def trials(study: Study, ledger: Ledger, data_set: str, method: str) -> int:
    """Settings that were tried of a method."""
    return len(
        {
            repr(sorted(row['options'].items()))
            for row in own_rows(
                study, ledger, data_set, method=method, purpose='tune'
            )
        }
    )


def teachers(study: Study, ledger: Ledger, data_set: str) -> list[float]:
    """Results of today's teacher, on the validation images.

    Returns:
        list[float]: More than one where the ledger came from a machine on
        which the same training ends elsewhere.
    """
    run = teacher_run(study, data_set)
    key = run.key if run else None
    taught = {
        row.get('val' if row['key'] == key else 'teacher_val')
        for row in own_rows(study, ledger, data_set)
        if row['key'] == key or is_of(study, row)
    }
    return sorted(value for value in taught if value is not None)


def tables(study: Study, ledger: Ledger) -> str:
    """All tables, in Markdown.

    Args:
        study (Study): What was compared.
        ledger (Ledger): Its results, complete or not.

    Returns:
        str: For each data set a table at equal iterations and, where there
        are results, one at equal time; the best method last.
    """
    parts = []
    for data_set in study.data_sets:
        for purpose in study.purposes:
            if any(own_rows(study, ledger, data_set, purpose=purpose)):
                parts.append(_table(study, ledger, data_set, purpose))
        taught = teachers(study, ledger, data_set)
        if len(taught) > 1:
            values = ', '.join(f'{value:.4g}' for value in taught)
            parts.append(
                f'The teacher of {data_set} was trained on {len(taught)} '
                f'machines; on the validation images: {values}.'
            )
        parts += _of_diffusion(study, ledger, data_set)
        parts += _of_before(study, ledger, data_set)
    commits = sorted(
        {row['commit'] for row in ledger.rows() if 'commit' in row}
    )
    if commits:
        parts.append(f'Commits: {", ".join(commits)}.')
    return '\n\n'.join(parts) or 'No results yet.'


def _of_diffusion(study: Study, ledger: Ledger, data_set: str) -> list[str]:
    """What the training of the diffusion models took, if there is one."""
    run = diffusion_run(study, data_set)
    row = ledger.get(run.key) if run else None
    if row is None or 'error' in row:
        return []
    # Of one that was resumed, only the last start is known.
    least = 'at least ' if row.get('resumed') else ''
    return [
        f'The diffusion models of {data_set} were trained in {least}'
        f'{seconds_of(row, study.clock):.0f} s, which no time above counts.'
    ]


def _of_before(study: Study, ledger: Ledger, data_set: str) -> list[str]:
    """Methods whose results are of another config or of other options."""
    # Of two of one seed, the tables have the later one.
    shown = {
        (row['method'], row['purpose'], row['seed']): row
        for row in own_rows(study, ledger, data_set)
        if row['method'] in study.data_sets[data_set].methods
        and row['purpose'] in FIELDS
    }
    found = Counter(
        row['method'] for row in shown.values() if not is_of(study, row)
    )
    if not found:
        return []
    counts = ', '.join(f'{method} {n}' for method, n in sorted(found.items()))
    return [
        f'Runs of {data_set} whose config or options have changed since, in '
        f'the tables all the same: {counts}.'
    ]


def _table(study: Study, ledger: Ledger, data_set: str, purpose: str) -> str:
    methods = study.data_sets[data_set].methods
    metric = study.data_sets[data_set].metric
    found = {m: results(study, ledger, data_set, m, purpose) for m in methods}
    took = {m: measured(study, ledger, data_set, m) for m in methods}
    digits = 3 if _largest(found) <= 1 else 2
    # A study may have no student alone, and name the control instead.
    others = dict.fromkeys([study.alone, study.control])
    head = (
        'method',
        'seeds',
        'mean',
        'deviation',
        *(f'to {other}' for other in others),
        # At equal time the seconds are those of the first comparison.
        *(
            ('length',)
            if purpose == 'time'
            else ('s/iteration', f'time, {study.control} = 1')
        ),
        'trials',
    )
    lines = [
        f'**{data_set}, {TITLES[purpose]}**: {metric} on the '
        f'{study.images} images, '
        f'{len(study.seeds)} seeds planned; differences are paired by seed, '
        'with 95 % intervals.',
        '',
        f'| {" | ".join(head)} |',
        '|---' * len(head) + '|',
    ]
    order = sorted(
        methods, key=lambda m: mean(found[m].values()) if found[m] else -1e9
    )
    for method in order:
        values = list(found[method].values())
        cells = [
            method,
            str(len(values))
            + _failed(study, ledger, data_set, method, purpose),
            f'{mean(values):.{digits}f}' if values else '-',
            f'{stdev(values):.{digits}f}' if len(values) > 1 else '-',
            *(
                _difference(found[method], found[other], digits)
                for other in others
            ),
            *(
                [_length(study, ledger, data_set, method)]
                if purpose == 'time'
                else _times(took[method], took[study.control])
            ),
            str(trials(study, ledger, data_set, method)),
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _times(ours: dict[int, float], theirs: dict[int, float]) -> list[str]:
    """Seconds an iteration, and how many times the control's they are."""
    ratio = time_ratio(ours, theirs)
    return [
        f'{median(ours.values()):.3g}' if ours else '-',
        f'{ratio:.2f}' if ratio else '-',
    ]


def _length(study: Study, ledger: Ledger, data_set: str, method: str) -> str:
    """How many times as many iterations as in the first comparison.

    As they were, not as they were meant: epochs are whole.
    """
    if time_factors(study, ledger, data_set).get(method) == 1:
        return '1.00'
    shorter, longer = (
        [
            row['iterations']
            for row in own_rows(
                study, ledger, data_set, method=method, purpose=purpose
            )
            if row.get('iterations')
        ]
        for purpose in ('test', 'time')
    )
    if not shorter or not longer:
        return '-'
    return f'{median(longer) / median(shorter):.2f}'


def _failed(
    study: Study, ledger: Ledger, data_set: str, method: str, purpose: str
) -> str:
    """Seeds on which it diverged, which no mean shows."""
    rows = own_rows(study, ledger, data_set, method=method, purpose=purpose)
    count = sum('error' in row for row in rows)
    return f' ({count} diverged)' if count else ''


def _largest(found: dict[str, dict[int, float]]) -> float:
    return max((abs(v) for f in found.values() for v in f.values()), default=0)


def _difference(
    ours: dict[int, float], theirs: dict[int, float], digits: int
) -> str:
    difference = paired_difference(ours, theirs)
    if ours is theirs or difference is None:
        return '-'
    text = f'{difference.mean:+.{digits}f}'
    if difference.low is not None:
        text += (
            f' ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})'
        )
    return text


def summary(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and deviation, 0 of a single value."""
    return mean(values), stdev(values) if len(values) > 1 else 0.0
