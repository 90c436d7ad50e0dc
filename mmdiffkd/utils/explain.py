# Copyright (c) mmdiffkd contributors.
"""Translate what the host libraries raise for mistakes in a config.

Only errors that certainly are the user's are translated, recognised by the
function they come from; all others are left alone.
"""

import difflib
import inspect
import json
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

from .checkpoint import unreadable
from .explain_library import explain_library

BUILDER = 'mmengine.registry.build_functions'


def explain(error: BaseException) -> str | None:
    """Say what the user did wrong, if it was the user.

    Args:
        error (BaseException): Exception that ended a script.

    Returns:
        str or None: One message, or None for a defect of the program.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for explanation in (
        _unknown_type,
        _no_type,
        _wrong_argument,
        _bad_checkpoint,
        _not_resumable,
        _unknown_optimizer,
        _no_images,
        _absent_image,
        _broken_json,
    ):
        message = explanation(error, frames)
        if message is not None:
            return message
    return explain_library(error)


def _last(
    frames: list[FrameType], function: str, module: str
) -> FrameType | None:
    """The innermost call of a function."""
    for frame in reversed(frames):
        if (
            frame.f_code.co_name == function
            and frame.f_globals.get('__name__') == module
        ):
            return frame
    return None


def _unknown_type(error: BaseException, frames: list[FrameType]) -> str | None:
    """``type='RetinaNett'``: name the closest registered classes."""
    text = str(error.args[0]) if error.args else ''
    match = re.match(r'(\S+) is not in the (?:(\S+)::)?(.+?) registry', text)
    if not isinstance(error, KeyError) or match is None:
        return None
    name, scope, kind = match.group(1), match.group(2) or 'mmengine', match[3]
    message = f'{name!r} is not in the {scope}::{kind} registry'
    close = difflib.get_close_matches(
        name, _registered_names(name, scope, kind)
    )
    if close:
        message += '; did you mean ' + ', '.join(map(repr, close)) + '?'
    build = _last(frames, 'build_from_cfg', BUILDER)
    place = _place(frames, build.f_locals.get('cfg')) if build else None
    if place:
        message += f' (config key {place}.type)'
    if not close:
        message += (
            '. A class of your own must be imported: name its module '
            'in custom_imports, or its package before the class'
        )
    return message


def _no_type(error: BaseException, frames: list[FrameType]) -> str | None:
    """A dict that is to become an object and does not say of which class."""
    build = _last(frames, 'build_from_cfg', BUILDER)
    if (
        build is None
        or frames[-1] is not build
        or not isinstance(error, (KeyError, TypeError))
    ):
        return None
    cfg, built = build.f_locals.get('cfg'), build.f_locals.get('obj_cls')
    kind = cfg.get('type') if isinstance(cfg, Mapping) else None
    text = str(error.args[0]) if error.args else ''
    if inspect.ismodule(built):
        text = f'has the type {kind!r}, which is a module and no class'
    elif not text.startswith(('`cfg` or', 'type must be', 'cfg should be')):
        return None
    elif isinstance(cfg, Mapping):
        text = f'needs a type, the name of a class, and has {kind!r}'
    else:
        text = f'must be a dict with a type, not {cfg!r}'
    registry = build.f_locals.get('registry')
    name = getattr(registry, 'name', 'part')
    return f'config of a {name} {text}: {str(cfg)[:200]}'


def _registered_names(name: str, scope: str, kind: str) -> list[str]:
    """Names that a registry would have understood in place of ``name``."""
    roots = [
        value
        for value in vars(mmengine_registry).values()
        if isinstance(value, Registry) and value.name == kind
    ]
    prefix, _, _ = name.rpartition('.')
    names = []
    for root in roots:
        for registry in (root, *root.children.values()):
            if prefix:  # 'mmdet.RetinaNett' was looked up in mmdet
                if registry.scope == prefix:
                    names += [
                        f'{prefix}.{key}' for key in registry.module_dict
                    ]
            elif registry is root or registry.scope == scope:
                names += list(registry.module_dict)
    return names


def _wrong_argument(
    error: BaseException, frames: list[FrameType]
) -> str | None:
    """A misspelt or missing key of a dict that builds an object."""
    build = _last(frames, 'build_from_cfg', BUILDER)
    if not isinstance(error, TypeError) or build is None:
        return None
    given = build.f_locals.get('args', {})
    built = build.f_locals.get('obj_cls')
    name = getattr(built, '__name__', str(built))
    place = _place(frames, build.f_locals.get('cfg'))
    where = f' (config key {place})' if place else ''
    text = str(error)

    unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unexpected and unexpected.group(1) in given:
        key = unexpected.group(1)
        valid = [word for word in _parameters(built) if word != key]
        close = difflib.get_close_matches(key, valid, n=1)
        hint = f'; did you mean {close[0]!r}?' if close else '.'
        return (
            f'{name} does not take {key!r}{where}{hint} It takes: '
            f'{", ".join(valid)}'
        )
    missing = re.search(r'missing \d+ required .*arguments?: (.+)', text)
    names = re.findall(r"'(\w+)'", missing.group(1)) if missing else []
    if names and set(names) <= set(_parameters(built)) - set(given):
        return (
            f'{name} needs {", ".join(map(repr, names))}{where}. '
            f'Given: {", ".join(map(str, given)) or "nothing"}'
        )
    return None


def _parameters(built: Any) -> list[str]:
    """Names that a class takes, with those it passes on to its bases."""
    if not inspect.isclass(built):
        return list(inspect.signature(built).parameters)
    names: dict[str, None] = {}
    for base in built.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(vars(base)['__init__']).parameters
        variadic = False
        for word in list(parameters.values())[1:]:
            if word.kind is word.VAR_KEYWORD:
                variadic = True
            elif word.kind is not word.VAR_POSITIONAL:
                names[word.name] = None
        if not variadic:
            break
    return list(names)


def _place(frames: list[FrameType], part: Any) -> str | None:
    """Find where in the whole config a dict stands, as a dotted key."""
    for frame in frames:
        if frame.f_code.co_name == 'from_cfg' and isinstance(part, Mapping):
            found = [
                key
                for key, value in _walk(frame.f_locals['cfg'])
                if _same(value, part)
            ]
            return found[0] if len(found) == 1 else None
    return None


def _same(value: Any, part: Mapping) -> bool:
    """Whether ``part`` is ``value``, perhaps with arguments added."""
    return (
        isinstance(value, Mapping)
        and value.get('type') is not None
        and all(
            key in part
            and part[key] is not None
            and _equal(part[key], value[key])
            for key in value
            if value[key] is not None
        )
    )


def _equal(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # arrays and other things without a truth value
        return False


def _walk(item: Any, key: str = '') -> list[tuple[str, Any]]:
    """Every value of a config under its dotted key."""
    if isinstance(item, (list, tuple)):
        children = [(str(i), value) for i, value in enumerate(item)]
    elif hasattr(item, 'items'):
        children = [(str(name), value) for name, value in item.items()]
    else:
        children = []
    found = [(key, item)]
    for name, value in children:
        found += _walk(value, f'{key}.{name}' if key else name)
    return found


def _bad_checkpoint(
    error: BaseException, frames: list[FrameType]
) -> str | None:
    """A file that ``torch.load`` could not read."""
    load = _last(frames, 'load_from_local', 'mmengine.runner.checkpoint')
    if load is None:
        return None
    path = load.f_locals['filename']
    if isinstance(error, FileNotFoundError):
        return f'checkpoint {path!r} does not exist'
    return unreadable(path, error)


def _not_resumable(
    error: BaseException, frames: list[FrameType]
) -> str | None:
    """Resuming from a file that holds weights alone."""
    resume = _last(frames, 'resume', 'mmengine.runner.runner')
    if (
        resume is None
        or frames[-1] is not resume
        or not isinstance(error, KeyError)
    ):
        return None
    return (
        f'{resume.f_locals["filename"]!r} is not a training checkpoint: '
        f'it has no {error.args[0]!r}. To start from its weights, set '
        'load_from instead of resuming'
    )


def _unknown_optimizer(
    error: BaseException, frames: list[FrameType]
) -> str | None:
    """MMEngine looks the class up and uses what it did not find."""
    frame = _last(
        frames, '__call__', 'mmengine.optim.optimizer.default_constructor'
    )
    if (
        frame is None
        or not isinstance(error, TypeError)
        or (frame.f_locals.get('optimizer_cls', error) is not None)
    ):
        return None
    kind = frame.f_locals['optimizer_cfg'].get('type')
    close = difflib.get_close_matches(
        str(kind), mmengine_registry.OPTIMIZERS.module_dict
    )
    hint = f'; did you mean {close[0]!r}?' if close else ''
    return (
        f'optimizer {kind!r} is not known (config key '
        f'optim_wrapper.optimizer.type){hint}'
    )


def _no_images(error: BaseException, frames: list[FrameType]) -> str | None:
    """A dataset from which nothing is left after filtering."""
    frame = _last(frames, '_serialize_data', 'mmengine.dataset.base_dataset')
    if frame is None or not isinstance(error, ValueError):
        return None
    dataset = frame.f_locals['self']
    if dataset.data_list:
        return None
    return (
        f'no image is left in the {type(dataset).__name__} of '
        f'{dataset.ann_file or dataset.data_root!r}: it is empty, or '
        'filter_cfg drops all. The classes of its metainfo, '
        f'{dataset.metainfo.get("classes")}, must be names of categories '
        'in it'
    )


def _absent_image(error: BaseException, frames: list[FrameType]) -> str | None:
    """An image that the annotations name, also in a worker's words."""
    text = str(error)
    loading = _last(frames, 'transform', 'mmcv.transforms.loading')
    if not isinstance(error, FileNotFoundError) or (
        loading is None and 'DataLoader worker' not in text
    ):
        return None
    name = error.filename or ''.join(
        re.findall(r"No such file or directory: '(.+?)'", text)[:1]
    )
    return (
        f'image file {name!r} does not exist, and the annotations name '
        'it: check data_root, data_prefix and ann_file of the dataset'
    )


def _broken_json(error: BaseException, frames: list[FrameType]) -> str | None:
    """Annotations that are cut or are no JSON."""
    if not isinstance(error, json.JSONDecodeError):
        return None
    for frame in reversed(frames):
        for name in (
            'annotation_file',
            'ann_file',
            'file',
            'filename',
            'path',
        ):
            path = frame.f_locals.get(name)
            if isinstance(path, (str, Path)):
                return f"'{path}' is not valid JSON, or cut: {error}"
    return None
