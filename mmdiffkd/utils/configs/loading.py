# Copyright (c) mmdiffkd contributors.
"""Read config files, and tell a user's mistakes in them by file and line."""

import argparse
import ast
import difflib
import inspect
import logging
import os
import os.path as osp
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..errors import UserError, closest
from .injected_scope import drop_injected_scope
from .own_configs import link_own_configs
from .replaced_bases import replacement

# Keys that MMEngine reads from a config besides the arguments of `Runner`.
EXTRA_KEYS = (
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'reliable',
    'runner_type',
    'sync_bn',
)

# What a distiller's base had before it had `pairs`.
PARTS_OF_PAIRS = (
    'student_recorders',
    'teacher_recorders',
    'connectors',
    'connector_forward_mappings',
    'distill_losses',
    'loss_forward_mappings',
)


class CfgOptions(DictAction):
    """``--cfg-options KEY=VALUE ...``, with readable complaints."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for text in values or []:
            key, equals, _ = text.partition('=')
            if not equals or not key:
                raise argparse.ArgumentError(
                    self,
                    f'{text!r} is not of the form KEY=VALUE, for '
                    'example train_cfg.max_epochs=2',
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # unbalanced brackets
            raise argparse.ArgumentError(self, str(error)) from error


def load_config(path: str, options: Mapping | None = None) -> Config:
    """Read a config file and merge the command line's options into it.

    Args:
        path (str): Config file.
        options (Mapping, optional): Value of ``--cfg-options``. Defaults to
            None.

    Returns:
        Config: The merged config.

    Raises:
        UserError: If the file cannot be read, or an option does not fit.
    """
    if osp.isdir(path):
        raise UserError(f'config file {path!r} is a folder; name a file in it')
    if not osp.isfile(path):
        raise UserError(f'config file {path!r} does not exist{_nearby(path)}')
    _check_bases(path)
    logger = MMLogger.get_current_instance()
    logger.addFilter(_is_new)
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # the file is a program of the user's
        raise UserError(_config_problem(path, error)) from error
    finally:
        logger.removeFilter(_is_new)
    drop_injected_scope(cfg)
    merge_options(cfg, options, path)
    return cfg


_variables: set[str] = set()


def _is_new(record: logging.LogRecord) -> bool:
    """Pass a line on unless it tells a variable of the environment again.

    MMEngine does so for each base and each config that names it.
    """
    line = record.getMessage()
    if not line.startswith('Using env variable'):
        return True
    new = line not in _variables
    _variables.add(line)
    return new


def merge_options(cfg: Config, options: Mapping | None, path: str) -> None:
    """Override settings of a config.

    Args:
        cfg (Config): Config, changed in place.
        options (Mapping, optional): Value of ``--cfg-options``: settings by
            dotted names.
        path (str): Its file, for the message.

    Raises:
        UserError: If an option does not fit.
    """
    if not options:
        return
    _check_option_names(cfg, options)
    try:
        cfg.merge_from_dict(dict(options))
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        text = error.args[0] if error.args else error
        raise UserError(f'--cfg-options do not fit {path}: {text}') from error


def _check_bases(path: str, above: tuple[str, ...] = ()) -> None:
    """Refuse a config that inherits from itself; MMEngine would not end."""
    path = osp.realpath(path)
    if path in above:
        chain = ' -> '.join(map(osp.basename, (*above, path)))
        raise UserError(f'config {path} inherits from itself: {chain}')
    if not path.endswith('.py') or not osp.isfile(path):
        return
    try:
        with open(path, encoding='utf-8') as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError):
        return  # told where the file is executed
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(
            getattr(target, 'id', None) == '_base_'
            for target in statement.targets
        ):
            for node in ast.walk(statement.value):
                base = getattr(node, 'value', None)
                if not isinstance(base, str):
                    continue
                _check_replaced(path, base)
                library, colons, _ = base.partition('::')
                if library == 'mmdiffkd' and colons:
                    link_own_configs()
                if not colons:
                    _check_bases(
                        osp.join(osp.dirname(path), base), (*above, path)
                    )
                elif library not in MODULE2PACKAGE:
                    raise UserError(
                        f'config {path}: the base {base!r} is in {library!r}, '
                        'which is no library with configs'
                        f'{closest(library, MODULE2PACKAGE)}'
                    )


def _check_replaced(path: str, base: str) -> None:
    """Name what stands in the place of a base that is no more."""
    folder, name = osp.split(base)
    advice = replacement(osp.splitext(name)[0])
    if (
        advice
        and folder.endswith('_base_/distillers')
        and not osp.isfile(osp.join(osp.dirname(path), base))
    ):
        raise UserError(
            f'config {path}: the base {base!r} is no more; {advice}'
        )


def _nearby(path: str) -> str:
    """Suggest a config file of nearly the same name in the same folder."""
    folder = osp.dirname(path) or '.'
    if not osp.isdir(folder):
        return ''
    close = difflib.get_close_matches(
        osp.basename(path), os.listdir(folder), cutoff=0.8
    )
    return f'; did you mean {osp.join(folder, close[0])!r}?' if close else ''


def _check_option_names(cfg: Config, options: Mapping) -> None:
    """Refuse an option whose first name is a near miss.

    MMEngine would add it as a new key that nobody reads.
    """
    known = {*cfg, *EXTRA_KEYS, *inspect.signature(Runner).parameters}
    for option in options:
        name = option.split('.')[0]
        close = difflib.get_close_matches(name, known, cutoff=0.8)
        if name not in known and close:
            raise UserError(
                f'--cfg-options {option}: the config has no key {name!r}; '
                f'did you mean {close[0]!r}?'
            )
        if name not in {*EXTRA_KEYS, *inspect.signature(Runner).parameters}:
            _check_template(cfg, option, name)


def _check_template(cfg: Config, option: str, name: str) -> None:
    """Warn that overriding this variable of the file has no effect.

    Its value was copied to where the file uses it when the file was read.
    """
    if name in cfg and name in cfg.get('model', {}):
        raise UserError(
            f'--cfg-options {option} would change nothing: '
            f'{name!r} is the template of model.{name}; write '
            f'model.{option}'
        )
    if name in cfg and not name.startswith('tta_'):
        warnings.warn(
            f'--cfg-options {option} changes a variable whose value '
            'the config has already used; override the settings '
            'that were made from it instead',
            stacklevel=2,
        )


def _config_problem(path: str, error: Exception) -> str:
    """Say in which file and line a config failed."""
    where, line = _failing_line(error)
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    if isinstance(error, SyntaxError) and error.lineno:
        line, text = error.lineno, error.msg
    if isinstance(error, AttributeError) and error.name in PARTS_OF_PAIRS:
        text += (
            '. The bases of distillers say it in `pairs`: '
            '_base_.distiller.pairs.NAME.connector, .loss and so on, see '
            'docs/en/configs.md'
        )
    place = f'{where or path}, line {line}' if line else where or path
    return f'cannot read config {place}: {type(error).__name__}: {text}'


def _failing_line(error: Exception) -> tuple[str | None, int | None]:
    """Find the config file, and its line, that was being executed.

    MMEngine compiles configs under their own names; a base that is missing
    fails in MMEngine while the file that names it is read.
    """
    readers = ['_file2dict']
    if isinstance(error, SyntaxError):
        readers.append('_is_lazy_import')
    reading: Any = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in readers:
            name = frame.f_locals.get('filename')
            reading = name if name and osp.isfile(name) else reading
        elif frame.f_code.co_filename == reading:
            return reading, line
    return reading, None
