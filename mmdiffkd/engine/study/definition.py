# Copyright (c) mmdiffkd contributors.
"""What a study compares, read from a short Python file."""

import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from math import isfinite
from typing import Any

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.configs.loading import load_config

CLOCKS = ('wall', 'cpu')
IMAGES = ('test', 'validation')
TEACHER_KEYS = ('config', 'seed', 'options')
DIFFUSION_KEYS = ('config', 'seed', 'iters', 'options')


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
        _check_keys(f'{where}.keys', self.keys)
        if not self.keys:
            raise UserError(f'{where}.keys must be a list of config keys')
        for name in ('low', 'high'):
            if getattr(self, name) is not None:
                _check_number(f'{where}.{name}', getattr(self, name))
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
            _check_number(f'{where}.start', self.start)
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
            _check_choice(f'{where}.choices', value)
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
                _check_integer(f'study: a number of {name}', value, 0)
        _check_integer('study: trials', self.trials, 0)
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


def load_study(path: str) -> Study:
    """Read a study file.

    Args:
        path (str): A Python file as configs are, with the arguments of
            :class:`Study`.

    Returns:
        Study: Checked.

    Raises:
        UserError: If something in it is unknown, missing or impossible.
    """
    cfg = load_config(path).to_dict()
    data_sets = _mapping(cfg.pop('data_sets', None), 'data_sets')
    # A helper of the file, such as a list of levels, has a name with _.
    cfg = {key: value for key, value in cfg.items() if key[0] != '_'}
    study = _build(
        Study,
        'study',
        name=osp.splitext(osp.basename(path))[0],
        data_sets={
            name: _data_set(f'data_sets.{name}', value)
            for name, value in data_sets.items()
        },
        **cfg,
    )
    study.check()
    return study


def _data_set(where: str, cfg: Any) -> DataSet:
    cfg = _mapping(cfg, where)
    methods = _mapping(cfg.pop('methods', None), f'{where}.methods')
    tune = _parameters(f'{where}.tune', cfg.pop('tune', {}))
    built = {}
    for name, value in methods.items():
        here = f'{where}.methods.{name}'
        value = _mapping(value, here)
        own = _parameters(f'{here}.tune', value.pop('tune', {}))
        built[name] = _build(Method, here, tune=own, **value)
        if not osp.isfile(built[name].config):
            raise UserError(
                f'{here}: config {built[name].config!r} does not exist'
            )
    data_set = _build(DataSet, where, methods=built, tune=tune, **cfg)
    if data_set.teacher is not None:
        _check_training(f'{where}.teacher', data_set.teacher, TEACHER_KEYS)
    _check_diffusion(where, data_set)
    _check_length(f'{where}.length', data_set.length)
    for here, options in (
        (where, data_set.options),
        (f'{where}.teacher', (data_set.teacher or {}).get('options', {})),
        (f'{where}.diffusion', (data_set.diffusion or {}).get('options', {})),
        *((f'{where}.methods.{m}', built[m].options) for m in built),
    ):
        for key, value in _mapping(options, f'{here}.options').items():
            if isinstance(value, Mapping):
                raise UserError(
                    f'{here}.options: the value of {key!r} is a dict, which '
                    'a command line cannot take; write a config for it'
                )
    return data_set


def _check_diffusion(where: str, data_set: DataSet) -> None:
    for name, method in data_set.methods.items():
        here = f'{where}.methods.{name}.diffusion_ckpt'
        _check_keys(here, method.diffusion_ckpt)
    users = [m for m, v in data_set.methods.items() if v.diffusion_ckpt]
    cfg = data_set.diffusion
    if cfg is None:
        if users:
            raise UserError(
                f'{where}.methods.{users[0]}.diffusion_ckpt needs '
                f'{where}.diffusion, which says how it is trained'
            )
        return
    _check_training(f'{where}.diffusion', cfg, DIFFUSION_KEYS)
    if cfg.get('iters') is not None:
        _check_integer(f'{where}.diffusion.iters', cfg['iters'], 1)
    if not users:
        raise UserError(
            f'{where}.diffusion is for no method; one that starts with it '
            'names its keys in diffusion_ckpt'
        )


def _check_training(where: str, cfg: Any, known: Sequence[str]) -> None:
    """Of a teacher or of diffusion models."""
    for name in _mapping(cfg, where):
        if name not in known:
            raise UserError(
                f'{where} has the unknown key {name!r}{closest(name, known)}'
            )
    config = cfg.get('config')
    if not isinstance(config, str) or not osp.isfile(config):
        raise UserError(f'{where}: config {config!r} does not exist')
    _check_integer(f'{where}.seed', cfg.get('seed', 0), 0)


def _check_length(where: str, length: Any) -> None:
    for key, value in _mapping(length, where).items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            _check_number(f'{where}: {key!r}', part)


def _check_keys(where: str, keys: Any) -> None:
    if not isinstance(keys, (list, tuple)) or not all(
        isinstance(key, str) and key for key in keys
    ):
        raise UserError(f'{where} must be a list of config keys, got {keys!r}')


def _check_integer(where: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise UserError(
            f'{where} must be an integer, at least {least}, got {value!r}'
        )


def _check_number(where: str, value: Any) -> None:
    if type(value) not in (int, float) or not isfinite(value):
        raise UserError(f'{where} must be a number, got {value!r}')


def _check_choice(where: str, value: Any) -> None:
    if isinstance(value, list):
        for part in value:
            _check_choice(where, part)
    elif isinstance(value, float):
        _check_number(where, value)
    elif not (value is None or isinstance(value, (str, int))):
        raise UserError(
            f'{where} must be numbers, strings, booleans, None or lists of '
            f'them, got {value!r}'
        )


def _parameters(where: str, cfg: Any) -> dict[str, Parameter]:
    built = {}
    for name, value in _mapping(cfg, where).items():
        here = f'{where}.{name}'
        built[name] = _build(Parameter, here, **_mapping(value, here))
        built[name].check(here)
    return built


def _mapping(value: Any, where: str) -> dict:
    if not isinstance(value, Mapping):
        raise UserError(f'{where} must be a dict, got {value!r}')
    return dict(value)


def _build(kind: Any, where: str, **values: Any) -> Any:
    """A dataclass of a config, whose mistakes are told by name."""
    known = {f.name: f for f in fields(kind)}
    for name in values:
        if name not in known:
            raise UserError(
                f'{where} has the unknown key {name!r}{closest(name, known)}'
            )
    for name, f in known.items():
        if (
            name not in values
            and f.default is MISSING
            and f.default_factory is MISSING
        ):
            raise UserError(f'{where} needs {name!r}')
    return kind(**values)
