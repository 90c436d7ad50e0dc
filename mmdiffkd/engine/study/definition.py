# Copyright (c) mmdiffkd contributors.
"""What a study compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmdiffkd.utils import UserError, closest

from .values import (
    check_choice,
    check_integer,
    check_keys,
    check_name,
    check_number,
)

CLOCKS = ('wall', 'cpu')
IMAGES = ('test', 'validation')


@dataclass(frozen=True)
class Parameter:
    """One number or choice that is tuned.

    Args:
        keys (Sequence[str]): Config keys that all take its value.
        low (float, optional): Smallest value.
        high (float, optional): Largest value.
        log (bool): Whether it is drawn on a logarithmic scale. Defaults to
            False.
        choices (Sequence, optional): Values to choose from, in the place of
            ``low`` and ``high``. Where all settings of a method are no more
            than the trials, each is tried once.
        start (Any, optional): Value of the first trial. Defaults to None: the
            sampler's.
    """

    keys: Sequence[str]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: Sequence[Any] | None = None
    start: Any = None

    def check(self, where: str) -> None:
        """Raise UserError unless there is a range, or else choices."""
        check_keys(f'{where}.keys', self.keys)
        if not self.keys:
            raise UserError(f'{where}.keys must be a list of config keys')
        for name in ('low', 'high'):
            if getattr(self, name) is not None:
                check_number(f'{where}.{name}', getattr(self, name))
        if (self.low is None or self.high is None) != bool(self.choices):
            raise UserError(f'{where} needs low and high, or else choices')
        if self.choices:
            self._check_choices(where)
        if self.low is None or self.high is None:
            return
        if not self.low < self.high:
            raise UserError(f'{where}: low must be less than high')
        if self.log and self.low <= 0:
            raise UserError(f'{where}: a logarithmic scale needs low > 0')
        if isinstance(self.low, int) != isinstance(self.high, int):
            raise UserError(
                f'{where}: low and high must be of one kind, integers or not'
            )
        if self.start is not None:
            check_number(f'{where}.start', self.start)
            if isinstance(self.low, int) and not isinstance(self.start, int):
                raise UserError(
                    f'{where}: start must be an integer, as low and high are, '
                    f'got {self.start}'
                )
            if not self.low <= self.start <= self.high:
                raise UserError(
                    f'{where}: start must be from low to high, got '
                    f'{self.start}'
                )

    def _check_choices(self, where: str) -> None:
        choices = self.choices
        if not isinstance(choices, (list, tuple)):
            raise UserError(f'{where}.choices must be a list, got {choices!r}')
        for i, value in enumerate(choices):
            check_choice(f'{where}.choices', value)
            if value in choices[:i]:
                raise UserError(f'{where}.choices has {value!r} twice')
        if self.start is not None and self.start not in choices:
            raise UserError(
                f'{where}: start must be one of choices, got {self.start!r}'
            )


@dataclass(frozen=True)
class Method:
    """A config, and what may be tuned of it.

    Args:
        config (str): Its file.
        options (Mapping): Values of config keys. Defaults to none.
        tune (Mapping[str, Parameter]): By name. Defaults to nothing.
        diffusion_ckpt (Sequence[str]): Config keys that take the file of the
            data set's diffusion models. Defaults to none.
    """

    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, Parameter] = field(default_factory=dict)
    diffusion_ckpt: Sequence[str] = ()


@dataclass(frozen=True)
class DataSet:
    """Methods on one data set.

    Args:
        metric (str): What is compared, as the log names it; more is better.
        methods (Mapping[str, Method]): By name.
        teacher (Mapping, optional): ``config``, ``seed`` and ``options`` of
            the teacher, which is trained first and serves all methods.
            Defaults to None: what the configs name.
        diffusion (Mapping, optional): ``config``, ``seed``, ``iters`` and
            ``options`` of the diffusion models that are trained on the
            teacher before the students, as ``mmdiffkd pretrain-diffusion``
            does it. Defaults to None: no method names any.
        length (Mapping): Config keys that make up the length of a run, with
            their values: iterations or epochs, and what goes with them.
        options (Mapping): Values of config keys for all methods.
        tune (Mapping[str, Parameter]): What is tuned in all methods.
    """

    metric: str
    methods: Mapping[str, Method]
    teacher: Mapping[str, Any] | None = None
    diffusion: Mapping[str, Any] | None = None
    length: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, Parameter] = field(default_factory=dict)

    def parameters(self, method: str) -> dict[str, Parameter]:
        """All that is tuned of one method."""
        return {**self.tune, **self.methods[method].tune}


@dataclass(frozen=True)
class Study:
    """A comparison under one budget.

    Args:
        name (str): Of the file.
        data_sets (Mapping[str, DataSet]): By name.
        seeds (Sequence[int]): Of the comparison.
        trials (int): Settings tried of each method that has something to
            tune. Defaults to 0: every method as its config is.
        tuning_seeds (Sequence[int]): On which each setting is tried, not
            among ``seeds``. Defaults to seed 0.
        alone (str): The method without distillation. Defaults to
            ``'alone'``.
        control (str): What the others are compared with besides. Defaults to
            ``'control'``.
        equal_time (str, optional): Method whose time all others are given in
            a second comparison. Defaults to None: there is none.
        clock (str): ``'wall'``, or ``'cpu'``, the processor's time, for runs
            of one thread on a busy machine. Defaults to ``'wall'``.
        images (str): On which methods are compared. ``'validation'`` is an
            exploration: the test images are not looked at, so that a method
            may be chosen by it, and its seeds take part in no comparison that
            follows. Defaults to ``'test'``.
    """

    name: str
    data_sets: Mapping[str, DataSet]
    seeds: Sequence[int]
    trials: int = 0
    tuning_seeds: Sequence[int] = (0,)
    alone: str = 'alone'
    control: str = 'control'
    equal_time: str | None = None
    clock: str = 'wall'
    images: str = 'test'

    @property
    def purposes(self) -> tuple[str, ...]:
        """Of the runs that are compared, see :class:`Run`."""
        if self.images == 'validation':
            return ('explore',)
        return ('test', 'time') if self.equal_time else ('test',)

    def configs(self) -> list[str]:
        """All config files, each once."""
        found: dict[str, None] = {}
        for data_set in self.data_sets.values():
            for cfg in (data_set.teacher, data_set.diffusion):
                if cfg is not None:
                    found[cfg['config']] = None
            for method in data_set.methods.values():
                found[method.config] = None
        return list(found)

    def check(self) -> None:
        """Raise UserError if the comparison would not be fair, or possible."""
        for name in ('seeds', 'tuning_seeds'):
            values = getattr(self, name)
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise UserError(
                    f'study: {name} must be a list, got {values!r}'
                )
            for value in values:
                check_integer(f'study: a number of {name}', value, 0)
        check_integer('study: trials', self.trials, 0)
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise UserError('study: seeds must be numbers, each once')
        shared = sorted(set(self.seeds) & set(self.tuning_seeds))
        if shared and self.images == 'test':
            raise UserError(
                f'study: seeds {shared} are tuned on, so they cannot take '
                'part in the comparison; choose others'
            )
        if self.trials and not self.tuning_seeds:
            raise UserError('study: trials need tuning_seeds')
        if self.clock not in CLOCKS:
            raise UserError(
                f'study: clock must be one of {CLOCKS}, got {self.clock!r}'
            )
        if self.images not in IMAGES:
            raise UserError(
                f'study: images must be one of {IMAGES}, got {self.images!r}'
            )
        if self.images == 'validation' and (self.trials or self.equal_time):
            raise UserError(
                'study: an exploration, images = "validation", has neither '
                'trials nor equal_time; write each setting as a method'
            )
        for name in ('alone', 'control', 'equal_time'):
            value = getattr(self, name)
            if name != 'equal_time' or value is not None:
                check_name(f'study: {name}', value)
        for name, data_set in self.data_sets.items():
            named = {self.alone, self.control, self.equal_time or self.alone}
            for method in sorted(named - set(data_set.methods)):
                raise UserError(
                    f'data_sets.{name} has no method {method!r}'
                    f'{closest(method, data_set.methods)}'
                )
            if self.equal_time and not data_set.length:
                raise UserError(
                    f'data_sets.{name}: equal_time needs length, the keys '
                    'that make a run shorter or longer'
                )
