# Copyright (c) mmdiffkd contributors.
"""Read a study from its short Python file."""

import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.configs.loading import load_config

from .definition import DataSet, Method, Parameter, Study
from .values import (
    check_integer,
    check_keys,
    check_name,
    check_number,
    is_plain,
)

TEACHER_KEYS = ('config', 'seed', 'options')
DIFFUSION_KEYS = ('config', 'seed', 'iters', 'options')


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
    if not data_sets:
        raise UserError('data_sets must have a data set, got {}')
    # A helper of the file, such as a list of levels, has a name with _.
    cfg = {key: value for key, value in cfg.items() if key[0] != '_'}
    if 'name' in cfg:
        raise UserError("study: take out 'name', its name is that of the file")
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
        _check_config(here, built[name].config)
        for other, method in built.items():
            if other != name and method == built[name]:
                raise UserError(
                    f'{here} is {other!r} once more: they would share their '
                    'runs; leave one out'
                )
    data_set = _build(DataSet, where, methods=built, tune=tune, **cfg)
    check_name(f'{where}.metric', data_set.metric)
    _check_tuned(where, data_set)
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
            if not is_plain(value):
                raise UserError(
                    f'{here}.options: a command line cannot take {value!r}, '
                    f'the value of {key!r}; write a config for it'
                )
    return data_set


def _check_tuned(where: str, data_set: DataSet) -> None:
    """Of two parameters with one key, one would be without effect."""
    for method in data_set.methods:
        owners: dict[str, str] = {}
        for name, parameter in data_set.parameters(method).items():
            for key in parameter.keys:
                other = owners.setdefault(key, name)
                if other != name:
                    raise UserError(
                        f'{where}.methods.{method}: {key!r} is tuned by '
                        f'{other!r} and by {name!r}; leave it to one of them'
                    )


def _check_diffusion(where: str, data_set: DataSet) -> None:
    for name, method in data_set.methods.items():
        here = f'{where}.methods.{name}.diffusion_ckpt'
        check_keys(here, method.diffusion_ckpt)
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
        check_integer(f'{where}.diffusion.iters', cfg['iters'], 1)
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
    _check_config(where, cfg.get('config'))
    check_integer(f'{where}.seed', cfg.get('seed', 0), 0)


def _check_config(where: str, config: Any) -> None:
    if not isinstance(config, str) or not osp.isfile(config):
        raise UserError(f'{where}: config {config!r} does not exist')


def _check_length(where: str, length: Any) -> None:
    for key, value in _mapping(length, where).items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            check_number(f'{where}: {key!r}', part)


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
    for key in value:
        check_name(f'{where}: a key', key)
    return dict(value)


def _build(kind: Any, where: str, /, **values: Any) -> Any:
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
