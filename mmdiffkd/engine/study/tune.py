# Copyright (c) mmdiffkd contributors.
"""Search the settings of one method, by Optuna."""

import hashlib
import itertools
import os
from collections.abc import Callable, Mapping
from math import prod
from statistics import mean
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from .definition import Parameter

optuna.logging.set_verbosity(optuna.logging.WARNING)


def cut_unfinished_line(path: str) -> None:
    """Take off what a power cut left of a journal's last line.

    Optuna reads such a journal, and appends to that line; from then on it
    can be read no more.

    Args:
        path (str): Journal file; it need not exist. No process may have it
            open.
    """
    if not os.path.isfile(path):
        return
    with open(path, 'rb+') as file:
        content = file.read()
        file.truncate(content.rfind(b'\n') + 1)


def planned(parameters: Mapping[str, Parameter], trials: int) -> int:
    """How many trials a method has.

    Args:
        parameters (Mapping[str, Parameter]): What is tuned of it.
        trials (int): Of the study.

    Returns:
        int: Fewer than those where there are no more settings.
    """
    if not parameters:
        return 0
    sizes = [len(p.choices or range(trials)) for p in parameters.values()]
    return min(trials, prod(sizes))


def release(path: str) -> None:
    """Take away Optuna's lock that a killed process left on a journal.

    Optuna waits for it, for ever where the path is relative: its lock is a
    link, which then leads nowhere, and has no age.

    Args:
        path (str): Journal file. No process may have it open.
    """
    lock = f'{path}.lock'
    if os.path.lexists(lock):
        os.unlink(lock)


class Tuning:
    """The trials of one method, kept in a file.

    Where all settings can be tried, each is, once. Otherwise Optuna's TPE
    sampler draws them.

    A study that was killed finds its trials again: those that are finished
    count, and those that were running are run on, with the same values. Where
    parameters, config or metric have changed since, all are made anew.

    Args:
        path (str): Journal file, shared by all methods of a study.
        name (str): Of data set and method.
        parameters (Mapping[str, Parameter]): What is searched.
        trials (int): How many.
        of (str): What is tuned: a digest of the config. Defaults to ``''``.
        metric (str): By what. Defaults to ``''``.
        metric_before (str, optional): Metric of trials that have none noted.
            Defaults to None: ``metric``.
    """

    def __init__(
        self,
        path: str,
        name: str,
        parameters: Mapping[str, Parameter],
        trials: int,
        of: str = '',
        metric: str = '',
        metric_before: str | None = None,
    ) -> None:
        self.parameters = parameters
        self.trials = planned(parameters, trials)
        self._space = {name: _space(p) for name, p in parameters.items()}
        storage = JournalStorage(JournalFileBackend(path))
        text = f'{of} {sorted(self._space.items())}'
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        for place in (name, f'{name}/{digest}', f'{name}/{digest}/{metric}'):
            self._study = _open(storage, place)
            if self._fits(of, metric, metric_before or metric):
                break
        for attribute, value in (('of', of), ('metric', metric)):
            if attribute not in self._study.user_attrs:
                self._study.set_user_attr(attribute, value)

    def _fits(self, of: str, metric: str, metric_before: str) -> bool:
        """Whether the trials so far are of these parameters and config."""
        noted = self._study.user_attrs
        by = metric_before if self._past() else metric
        if noted.get('of', of) != of or noted.get('metric', by) != metric:
            return False
        for trial in self._past():
            drawn = trial.distributions
            if (
                trial.state.is_finished()
                and drawn.keys() != self._space.keys()
            ):
                return False
            if any(self._space.get(name) != d for name, d in drawn.items()):
                return False
        return True

    def search(
        self, evaluate: Callable[[dict[str, Any]], list[float]]
    ) -> None:
        """Make what is missing of the trials.

        Args:
            evaluate (Callable): Gives the results of some options, one a
                tuning seed, none where the run failed.
        """
        while trial := self._next():
            results = evaluate(self._options(trial.params))
            if results:
                self._study.tell(trial.number, mean(results))
            else:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def best(self) -> dict[str, Any] | None:
        """Options of the best trial, none where there is nothing to tune.

        Returns:
            Dict[str, Any] | None: None if every trial failed.
        """
        if not self.trials:
            return {}
        if not any(t.state == TrialState.COMPLETE for t in self._past()):
            return None
        return self._options(self._study.best_trial.params)

    def missing(self) -> int:
        """Trials that are still to be made."""
        if grid := self._grid():
            tried = [t.params for t in self._past() if t.state.is_finished()]
            return sum(settings not in tried for settings in grid)
        return max(self.trials - self.counted(), 0)

    def counted(self) -> int:
        """Trials that are finished, whether they failed or not."""
        return sum(t.state.is_finished() for t in self._past())

    def _past(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _next(self) -> FrozenTrial | None:
        past = self._past()
        for trial in past:
            if (
                trial.state == TrialState.RUNNING
                and trial.distributions == self._space
            ):
                return trial
        if not self.missing():
            return None
        start = {
            name: p.start
            for name, p in self.parameters.items()
            if p.start is not None
        }
        # Those that are running by now were killed before they had values.
        known = [
            trial.params or trial.system_attrs.get('fixed_params')
            for trial in past
            if trial.state != TrialState.RUNNING
        ]
        first = [start] if start and not known else []
        for settings in self._grid() or first:
            if settings not in known:
                self._study.enqueue_trial(settings)
        # A seed of the trial's own: a study that is resumed would draw the
        # numbers of its first trials again.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=len(past), n_startup_trials=max(self.trials // 2, 1)
        )
        asked = self._study.ask(self._space)
        return self._past()[asked.number]

    def _grid(self) -> list[dict[str, Any]]:
        """All settings, none where there are more than trials."""
        choices = [p.choices or () for p in self.parameters.values()]
        if not all(choices) or prod(map(len, choices)) > self.trials:
            return []
        return [
            dict(zip(self.parameters, values, strict=True))
            for values in itertools.product(*choices)
        ]

    def _options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: values[name]
            for name, p in self.parameters.items()
            for key in p.keys
        }


def _space(p: Parameter) -> BaseDistribution:
    if p.choices:
        return CategoricalDistribution(p.choices)
    assert p.low is not None and p.high is not None
    if isinstance(p.low, int) and isinstance(p.high, int):
        return IntDistribution(p.low, p.high, log=p.log)
    return FloatDistribution(p.low, p.high, log=p.log)


def _open(storage: JournalStorage, name: str) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction='maximize',
        load_if_exists=True,
    )
