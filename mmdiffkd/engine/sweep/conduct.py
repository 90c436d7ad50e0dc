# Copyright (c) mmdiffkd contributors.
"""Carry a sweep through the zoo, model by model, and go on where it was."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..study.ledger import Ledger
from .base_trial import base_trial
from .inventory import measure, read_family
from .limited import Job, Limits, run_limited
from .order import stratified, teacher_of
from .pair_trial import pair_trial
from .zoo import LIBRARIES, StockConfig, stock_configs


class Plan(NamedTuple):
    """What to sweep, and how.

    Attributes:
        method (str): Of ``make-config``.
        libraries (Sequence[str]): Of :data:`~.zoo.LIBRARIES`.
        pairs (bool): Whether models of the base set are distilled, too.
        words (Sequence[str]): Only configs whose name has one of these.
        limits (Limits): For each trial.
        workers (int): Trials at a time.
        retry_failed (bool): Whether pairs that failed are tried again.
    """

    method: str = 'diffkd'
    libraries: Sequence[str] = LIBRARIES
    pairs: bool = True
    words: Sequence[str] = ()
    limits: Limits = Limits()
    workers: int = 1
    retry_failed: bool = False

    def wants(self, name: str) -> bool:
        """Whether a config is to be swept."""
        return not self.words or any(word in name for word in self.words)


def conduct(
    plan: Plan, ledger: Ledger, say: Callable[[str], None] = print
) -> None:
    """Make whatever of a plan has no result yet.

    Args:
        plan (Plan): The sweep.
        ledger (Ledger): Its results; a trial that is in it is not repeated.
        say (Callable): Told how it goes. Defaults to ``print``.
    """
    prepare(plan, ledger, say)
    models = known_models(ledger)
    files = _files(plan.libraries)
    queue = deque(
        _jobs_of(row, plan, models, files)
        for row in stratified(
            row
            for row in models
            if row['config'] in files and plan.wants(row['config'])
        )
    )
    waiting: deque[Job] = deque()
    bases: dict[str, Job] = {}

    def missing(job: Job) -> bool:
        row = ledger.get(job.key)
        again = plan.retry_failed and job.function is pair_trial
        return row is None or (again and 'error' in row)

    def take() -> Job | None:
        while queue or waiting:
            if waiting:
                return waiting.popleft()
            base, pair = queue.popleft()
            if not plan.pairs:
                if missing(base):
                    return base
                continue
            bases[pair.key] = base
            if missing(pair):
                return pair
            after(pair)
        return None

    def after(pair: Job) -> None:
        """A pair that failed is of the base set if its student alone is."""
        failed = 'error' in (ledger.get(pair.key) or {})
        if failed and missing(bases[pair.key]):
            waiting.append(bases[pair.key])

    progress = _Progress(len(queue), say)
    for job, result in run_limited(take, plan.limits, plan.workers):
        ledger.append(dict(result, key=job.key))
        if job.key in bases:
            after(job)
        progress.ended(job, result, len(queue) + len(waiting))


def prepare(
    plan: Plan, ledger: Ledger, say: Callable[[str], None] = print
) -> None:
    """Read all configs of a family, and measure each model that they hold.

    Teachers are chosen among all models of a family, so this comes first.
    """
    families: dict[str, list[StockConfig]] = {}
    for config in _files(plan.libraries).values():
        key = f'family:{config.library}/{config.family}'
        families.setdefault(key, []).append(config)
    families = {
        key: some
        for key, some in families.items()
        if any(plan.wants(config.name) for config in some)
    }
    _all(
        [Job(key, read_family, (some,)) for key, some in families.items()],
        plan,
        ledger,
        say,
        'families read',
    )
    files = {c.name: c for some in families.values() for c in some}
    first: dict[str, str] = {}
    for row in config_rows(ledger):
        if 'signature' in row and row['config'] in files:
            first.setdefault(row['signature'], row['config'])
    _all(
        [
            Job(f'model:{mark}', measure, (files[name].file,))
            for mark, name in first.items()
        ],
        plan,
        ledger,
        say,
        'models measured',
    )


def config_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """What is known of each config, in the order of their names."""
    rows = [
        row
        for family in ledger.rows()
        if family['key'].startswith('family:')
        for row in family.get('rows', ())
    ]
    return sorted(rows, key=lambda row: row['config'])


def known_models(ledger: Ledger) -> list[dict[str, Any]]:
    """A row for each model that can be built, under its first config."""
    found: dict[str, dict[str, Any]] = {}
    for row in config_rows(ledger):
        mark = row.get('signature', '')
        size = ledger.get(f'model:{mark}')
        if size is not None and 'parameters' in size and mark not in found:
            found[mark] = {**size, **row}
    return list(found.values())


def _files(libraries: Iterable[str]) -> dict[str, StockConfig]:
    return {
        config.name: config
        for library in libraries
        for config in stock_configs(library)
    }


def _jobs_of(
    row: Mapping[str, Any],
    plan: Plan,
    models: Sequence[Mapping[str, Any]],
    files: dict[str, StockConfig],
) -> tuple[Job, Job]:
    mark, file = row['signature'], files[row['config']].file
    teacher = teacher_of(row, models)['config']
    return (
        Job(f'base:{mark}', base_trial, (file,)),
        Job(
            f'pair:{plan.method}:{mark}',
            pair_trial,
            (row['config'], teacher, plan.method),
            share=2.0,  # two models, of which one is in the base set
        ),
    )


def _all(
    jobs: list[Job],
    plan: Plan,
    ledger: Ledger,
    say: Callable[[str], None],
    what: str,
) -> None:
    """Run jobs that do not depend on each other."""
    todo = deque(job for job in jobs if ledger.get(job.key) is None)
    count = len(jobs) - len(todo)
    for job, result in run_limited(
        lambda: todo.popleft() if todo else None, plan.limits, plan.workers
    ):
        ledger.append(dict(result, key=job.key))
        count += 1
        if count % 25 == 0 or count == len(jobs):
            say(f'{count} of {len(jobs)} {what}')


class _Progress:
    """Counts of results, and an estimate of what is left."""

    def __init__(
        self,
        total: int,
        say: Callable[[str], None],
    ) -> None:
        self.total, self.say = total, say
        self.started = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.done_before: int | None = None

    def ended(self, job: Job, result: dict[str, Any], left: int) -> None:
        stage = job.key.split(':')[0]
        good = 'error' not in result
        self.counts[f'{stage} ok' if good else f'{stage} not'] += 1
        if self.done_before is None:
            self.done_before = self.total - left - 1
        done = max(1, self.total - left - self.done_before)
        minutes = (time.monotonic() - self.started) / 60
        counts = ', '.join(f'{n} {k}' for k, n in sorted(self.counts.items()))
        name = job.arguments[0].split('/configs/')[-1]
        self.say(
            f'[{minutes:.0f} min, about {minutes / done * left:.0f} left] '
            f'{counts} | {stage} {name}: '
            + (
                f'ok in {result["seconds"]} s'
                if good
                else f'{result["error"][:150]} {result.get("where", "")}'
            )
        )
