# Copyright (c) mmdiffkd contributors.
"""Do what is missing of a study."""

import os
import os.path as osp
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmdiffkd.utils.configs.loading import load_config

from .definition import Study
from .ledger import Ledger, finite
from .logs import NoResult
from .plan import diffusion_run, method_run, teacher_run, total
from .processes import FailedRun, Interrupted, Tools, say, trained
from .rows import called, commit, metric_of, new_row, same_row
from .run import Run, scaled
from .timing import time_factors, unmeasured
from .tune import Tuning, cut_unfinished_line, release


class Conductor:
    """Tuning, then the comparison, then it at equal time.

    Within each of these, runs are made side by side. The comparison goes
    through all methods seed by seed, so that half a study has whole seeds.
    Teachers and diffusion models are trained when a run first needs them.

    Args:
        study (Study): What to compare.
        ledger (Ledger): Where results are found and put.
        work_dir (str): Folder of runs and trials.
        tools (Tools): How a run is made.
        workers (int): Runs at a time.
        tell (Callable): Shows a line of progress. Defaults to
            :func:`say`.
    """

    def __init__(
        self,
        study: Study,
        ledger: Ledger,
        work_dir: str,
        tools: Tools,
        workers: int,
        tell: Callable[[str], None] = say,
    ) -> None:
        self.study, self.ledger, self.tools = study, ledger, tools
        self.work_dir, self.workers, self.tell = work_dir, workers, tell
        self.failures: list[str] = []
        self._commit = commit()
        self._journal = osp.join(work_dir, 'trials.log')
        # Runs that come to the same wait for the first of them.
        self._making: dict[str, threading.Lock] = {}
        # One teacher or diffusion model at a time; a diffusion model needs
        # its teacher, so it is taken twice.
        self._preparing = threading.RLock()
        self._done: set[tuple] = set()
        self._told: set[str] = set()
        self._broken: dict[tuple[str, str], Exception] = {}
        self._without_result: dict[str, NoResult] = {}
        self._start = time.monotonic()

    def __call__(self) -> None:
        """Go through the whole study, as far as it is not done."""
        for path in self.study.configs():
            load_config(path)  # a mistake in one is told before any run
        os.makedirs(self.work_dir, exist_ok=True)
        release(self._journal)
        cut_unfinished_line(self._journal)
        study = self.study
        pairs = [(d, m) for d, s in study.data_sets.items() for m in s.methods]
        self._all(lambda pair: self._tune(*pair), pairs)
        for purpose in study.purposes:
            self._all(self.make, list(self._comparison(purpose)))

    def make(self, run: Run) -> float | None:
        """Make a run unless it is in the ledger.

        Returns:
            float | None: Its result on the validation images, None if it
            failed.

        Raises:
            NoResult: If a run of the data set had none by its metric; no
                other one is started then.
        """
        self._done.add((run.data_set, run.method, run.purpose, run.key))
        with self._alone(run):
            row = self._known(run)
            if row is None and run.data_set in self._without_result:
                raise self._without_result[run.data_set]
            if row is None:
                try:
                    row = self._make(run)
                except NoResult as error:
                    self._without_result[run.data_set] = error
                    raise
        return row['val']

    def _alone(self, run: Run) -> threading.Lock:
        return self._making.setdefault(run.key, threading.Lock())

    def _known(self, run: Run) -> dict[str, Any] | None:
        """Its row, which one of the same key gives as well."""
        row = self.ledger.get(run.key, **called(self.study, run))
        if row is None:
            row = same_row(self.study, self.ledger, run)
            if row is not None:
                self.ledger.append(row)
                self._tell_row(run, row, 'made before')
        return row

    def _make(self, run: Run) -> dict[str, Any]:
        files: dict[str, str] = {}
        of_teacher: dict[str, float] = {}
        if run.teacher is not None:
            path, value = self._teacher_weights(run.data_set)
            files['model.teacher_ckpt'] = path
            of_teacher = dict(teacher_val=value)
        if run.diffusion is not None:
            path = self._diffusion_weights(run.data_set)
            files.update(dict.fromkeys(run.diffusion_ckpt, path))
        folder = self._folder(run)
        metric = metric_of(self.study, run)
        try:
            result = self.tools.execute(run, folder, files, metric)
        except FailedRun as error:
            result = dict(val=None, error=str(error))
        row = new_row(
            self.study, run, result, **of_teacher, commit=self._commit
        )
        row = finite(row)
        if self.ledger.get(run.key, **called(self.study, run)) is None:
            self.ledger.append(row)
        self._tell_row(run, row, f'{row.get("seconds", 0):.0f} s')
        return row

    def _teacher_weights(self, data_set: str) -> tuple[str, float]:
        """The teacher's checkpoint, and its result on the validation images.

        It is trained when it is first needed. A ledger that came from another
        machine has the teacher's result, and not its weights; trained there
        and here with the same seed, it need not be the same to the bit.
        """
        run = teacher_run(self.study, data_set)
        assert run is not None  # or no run would have its key
        with self._preparing:
            known = self.ledger.get(run.key, **called(self.study, run))
            found = self._prepared(run)
            if found is None:
                raise FailedRun(self._none(run, 'teacher'))
            note, path = found
            value = note['val']
            if known and known['val'] != value and run.key not in self._told:
                self._told.add(run.key)
                self.tell(
                    f'the teacher of {data_set} has {value:.4g} here and '
                    f'{known["val"]:.4g} in {self.ledger.path}: rows tell, by '
                    '`teacher_val`, which one taught'
                )
        return osp.abspath(path), value

    def _diffusion_weights(self, data_set: str) -> str:
        """The file of a data set's diffusion models, trained likewise."""
        run = diffusion_run(self.study, data_set)
        assert run is not None
        with self._preparing:
            found = self._prepared(run)
            if found is None:
                raise FailedRun(self._none(run, 'diffusion model'))
        return osp.abspath(found[1])

    def _none(self, run: Run, what: str) -> str:
        row = self.ledger.get(run.key, **called(self.study, run)) or {}
        why = f'its training left no checkpoint in {self._folder(run)}'
        if 'error' in row:
            why = (
                f'it diverged ({row["error"]}); change its config or options, '
                'or make it again by --retry-failed'
            )
        return f'there is no {what} of {run.data_set}: {why}'

    def _prepared(self, run: Run) -> tuple[dict[str, Any], str] | None:
        """Note and weights of a training that others need.

        It is made unless both are in its folder, or only its line if that is
        what is missing. One that broke off is not tried for each student.

        Returns:
            Tuple[Dict[str, Any], str] | None: None if it diverged.
        """
        name = run.data_set, run.key
        if name in self._broken:
            raise self._broken[name]
        try:
            with self._alone(run):
                row = self._known(run)
                found = self._trained(run)
                if row is None or not (found or 'error' in row):
                    row = self._make(run)
                    found = self._trained(run)
        except Exception as error:
            self._broken[name] = error
            raise
        return None if 'error' in row else found

    def _trained(self, run: Run) -> tuple[dict[str, Any], str] | None:
        return trained(run, self._folder(run), metric_of(self.study, run))

    def _folder(self, run: Run) -> str:
        """Its work dir, or that of the same run under another name."""
        runs = osp.join(self.work_dir, 'runs')
        own = osp.join(runs, run.folder)
        others = Path(runs).glob(f'*/*-{run.seed}-{run.key[:8]}')
        return own if osp.isdir(own) else str(min(others, default=own))

    def _tune(self, data_set: str, method: str) -> None:
        tuning = self.tuning(data_set, method)

        def evaluate(options: dict[str, Any]) -> list[float]:
            values = [
                self.make(
                    method_run(
                        self.study, data_set, method, 'tune', seed, options
                    )
                )
                for seed in self.study.tuning_seeds
            ]
            known = [v for v in values if v is not None]
            return known if len(known) == len(values) else []

        tuning.search(evaluate)

    def tuning(self, data_set: str, method: str) -> Tuning:
        """The trials of a method."""
        return Tuning(
            self._journal,
            f'{self.study.name}/{data_set}/{method}',
            self.study.data_sets[data_set].parameters(method),
            self.study.trials,
            of=method_run(self.study, data_set, method, 'tune', 0, {}).key,
            metric=self.study.data_sets[data_set].metric,
            metric_before=self._first_metric(data_set, method),
        )

    def _first_metric(self, data_set: str, method: str) -> str | None:
        """That of the first trials, which used not to be noted with them."""
        rows = self.ledger.rows(
            data_set=data_set, method=method, purpose='tune'
        )
        return next((row.get('metric') for row in rows), None)

    def _comparison(self, purpose: str) -> Iterable[Run]:
        best: dict[tuple[str, str], dict[str, Any] | None] = {}
        for d, s in self.study.data_sets.items():
            for m in s.methods:
                tuning = self.tuning(d, m)
                if tuning.missing():  # what stopped it has been told
                    self.failures.append(
                        f'{d} {m}: {tuning.missing()} of {tuning.trials} '
                        'trials are missing; it is compared when it has all'
                    )
                else:
                    best[d, m] = tuning.best()
        for seed in self.study.seeds:
            for (data_set, method), options in best.items():
                if options is None:
                    self.failures.append(
                        f'{data_set} {method}: every trial failed; its rows '
                        f'of purpose "tune" in {self.ledger.path} tell how'
                    )
                    continue
                factor = None
                if purpose == 'time':
                    factor = time_factors(
                        self.study, self.ledger, data_set
                    ).get(method)
                    if factor is None:
                        why = unmeasured(
                            self.study, self.ledger, data_set, method
                        )
                        self.failures.append(
                            f'{data_set} {method}: no measured seconds an '
                            f'iteration, {why}, so it has no run at equal time'
                        )
                        continue
                    if factor == 1:
                        continue  # its runs are those of the first comparison
                    settings = self.study.data_sets[data_set]
                    options = {**options, **scaled(settings, factor)}
                yield method_run(
                    self.study,
                    data_set,
                    method,
                    purpose,
                    seed,
                    options,
                    factor,
                )

    def _all(self, do: Callable[[Any], Any], items: Iterable[Any]) -> None:
        """Side by side; a failure of one does not stop the others.

        It is told at once, since they may go on for hours.
        """

        def told(item: Any) -> Any:
            try:
                return do(item)
            except Interrupted:
                raise
            except Exception as error:
                text = f'not done: {str(error) or type(error).__name__}'
                if text not in self._told:  # one may stop many
                    self._told.add(text)
                    self.tell(text)
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(told, item) for item in items]
        interrupted = False
        for future in futures:
            error = future.exception()
            if isinstance(error, Interrupted):
                interrupted = True
            elif isinstance(error, (FailedRun, RuntimeError)):
                self.failures.append(str(error))
            elif error is not None:
                raise error
        if interrupted:
            raise Interrupted

    def _tell_row(self, run: Run, row: dict[str, Any], how: str) -> None:
        value = row.get('test', row['val'])
        what = 'failed: ' + row['error'] if value is None else f'{value:.4g}'
        minutes = (time.monotonic() - self._start) / 60
        self.tell(
            f'[{minutes:6.1f} min, {len(self._done)}/{total(self.study)}] '
            f'{run}: {what} ({how})'
        )


def conduct(
    study: Study,
    ledger: Ledger,
    work_dir: str,
    tools: Tools | None = None,
    workers: int = 2,
    tell: Callable[[str], None] = say,
) -> list[str]:
    """Do what is missing of a study.

    Args:
        study (Study): What to compare.
        ledger (Ledger): Results so far; those of this call are added.
        work_dir (str): Folder for runs and trials.
        tools (Tools, optional): How to make a run. Defaults to the project's
            tools.
        workers (int): Runs at a time. Defaults to 2.
        tell (Callable): Shows a line of progress. Defaults to
            :func:`say`.

    Returns:
        list[str]: What could not be done.

    Raises:
        Interrupted: If it was told to stop.
    """
    conductor = Conductor(
        study, ledger, work_dir, tools or Tools(), workers, tell
    )
    conductor()
    return list(dict.fromkeys(conductor.failures))
