# Copyright (c) mmdiffkd contributors.
"""Search the settings of one method, by Optuna."""

import itertools
import os
from collections.abc import Callable, Mapping
from math import prod
from statistics import mean
from typing import Any

import optuna
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


class Tuning:
    """The trials of one method, kept in a file.

    Where all settings can be tried, each is, once. Otherwise Optuna's TPE
    sampler draws them.

    A study that was killed finds its trials again: those that are finished
    count, and those that were running are run on, with the same values.

    Args:
        path (str): Journal file, shared by all methods of a study.
        name (str): Of data set and method.
        parameters (Mapping[str, Parameter]): What is searched.
        trials (int): How many.
    """

    def __init__(
        self,
        path: str,
        name: str,
        parameters: Mapping[str, Parameter],
        trials: int,
    ) -> None:
        self.parameters = parameters
        self.trials = planned(parameters, trials)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(path)),
            study_name=name,
            direction='maximize',
            load_if_exists=True,
        )

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
        return max(self.trials - self.counted(), 0)

    def counted(self) -> int:
        """Trials that are finished, whether they failed or not."""
        return sum(t.state.is_finished() for t in self._past())

    def _past(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _next(self) -> FrozenTrial | None:
        past = self._past()
        for trial in past:
            if trial.state == TrialState.RUNNING and set(trial.params) == set(
                self.parameters
            ):
                return trial
        if not self.missing():
            return None
        start = {
            name: p.start
            for name, p in self.parameters.items()
            if p.start is not None
        }
        for settings in self._grid() or ([] if past or not start else [start]):
            self._study.enqueue_trial(settings, skip_if_exists=True)
        # A seed of the trial's own: a study that is resumed would draw the
        # numbers of its first trials again.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=len(past), n_startup_trials=max(self.trials // 2, 1)
        )
        asked = self._study.ask()
        for name, p in self.parameters.items():
            _suggest(asked, name, p)
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


def _suggest(trial: optuna.Trial, name: str, p: Parameter) -> None:
    if p.choices:
        trial.suggest_categorical(name, p.choices)
    elif isinstance(p.low, int) and isinstance(p.high, int):
        trial.suggest_int(name, p.low, p.high, log=p.log)
    elif p.low is not None and p.high is not None:
        trial.suggest_float(name, p.low, p.high, log=p.log)
