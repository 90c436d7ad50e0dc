# Copyright (c) mmdiffkd contributors.
"""Rules for what a config names and a host cannot build."""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from ..blame import Frames, all_of_hosts, module_of
from ..kinds import arguments_of
from .place import (
    BUILDER,
    RUNNER,
    config_key,
    last_call,
    loop_has_begun,
    quote,
)

# Methods of MMEngine's runner that only read the config.
READING = re.compile(
    r'__init__|from_cfg|build_\w+|set_randomness|setup_env|'
    r'scale_lr|register_\w+|_check_scheduler_cfg'
)


def explain_unknown_type(error: BaseException, frames: Frames) -> str | None:
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
    build = last_call(frames, 'build_from_cfg', BUILDER)
    place = config_key(frames, build.f_locals.get('cfg')) if build else None
    if place:
        message += f' (config key {place}.type)'
    if not close:
        message += (
            '. A class of your own must be imported: name its module '
            'in custom_imports, or its package before the class'
        )
    return message


def explain_missing_type(error: BaseException, frames: Frames) -> str | None:
    """A dict that is to become an object and does not say of which class."""
    build = last_call(frames, 'build_from_cfg', BUILDER)
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


def explain_wrong_argument(error: BaseException, frames: Frames) -> str | None:
    """A misspelt or missing key of a dict that builds an object."""
    build = last_call(frames, 'build_from_cfg', BUILDER)
    if not isinstance(error, TypeError) or build is None:
        return None
    given = build.f_locals.get('args', {})
    built = build.f_locals.get('obj_cls')
    if built is None:  # it failed before it looked the class up
        return None
    place = config_key(frames, build.f_locals.get('cfg'))
    where = f' (config key {place})' if place else ''
    return _wrong_argument(error, built, given, where)


def explain_wrong_loop_argument(
    error: BaseException, frames: Frames
) -> str | None:
    """The same of ``train_cfg`` without a type, which MMEngine chooses."""
    frame = last_call(frames, 'build_train_loop', RUNNER)
    if not isinstance(error, TypeError) or frame is not frames[-1]:
        return None
    by_epoch = frame.f_locals.get('by_epoch')
    if by_epoch is None:  # it failed before
        return None
    return _wrong_argument(
        error,
        EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop,
        frame.f_locals['loop_cfg'],
        ' (config key train_cfg)',
    )


def _wrong_argument(
    error: TypeError, built: Callable, given: Mapping, where: str
) -> str | None:
    """Which of the arguments is too many, or absent."""
    name = getattr(built, '__name__', str(built))
    text = str(error)
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unexpected and unexpected.group(1) in given:
        key = unexpected.group(1)
        valid = [word for word in arguments_of(built) if word != key]
        close = difflib.get_close_matches(key, valid, n=1)
        hint = f'; did you mean {close[0]!r}?' if close else '.'
        return (
            f'{name} does not take {key!r}{where}{hint} It takes: '
            f'{", ".join(valid)}'
        )
    missing = re.search(r'missing \d+ required .*arguments?: (.+)', text)
    names = re.findall(r"'(\w+)'", missing.group(1)) if missing else []
    if names and set(names) <= set(arguments_of(built)) - set(given):
        return (
            f'{name} needs {", ".join(map(repr, names))}{where}. '
            f'Given: {", ".join(map(str, given)) or "nothing"}'
        )
    return None


def explain_unknown_optimizer(
    error: BaseException, frames: Frames
) -> str | None:
    """MMEngine looks the class up and uses what it did not find."""
    frame = last_call(
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


def explain_construction(error: BaseException, frames: Frames) -> str | None:
    """An object that a library cannot build from its dict."""
    places = [
        i
        for i, frame in enumerate(frames)
        if frame.f_code.co_name == 'build_from_cfg'
        and module_of(frame) == BUILDER
    ]
    if (
        not places
        or not all_of_hosts(frames[places[-1] :])
        or loop_has_begun(frames)
        or any(module_of(f) == RUNNER for f in frames[places[-1] :])
    ):  # a loop asks the runner for more
        return None
    local = frames[places[-1]].f_locals
    name = getattr(local.get('obj_cls'), '__name__', None)
    if name in (None, 'type') or frames[-1] is frames[places[-1]]:
        return None

    cfg = local.get('cfg')
    place = config_key(frames, cfg)
    plain = (
        {
            key: value
            for key, value in cfg.items()
            if isinstance(value, (str, int, float))
        }
        if isinstance(cfg, Mapping)
        else ''
    )
    where = f' (config key {place})' if place else f' {plain}'
    source = cfg.get('ann_file') if isinstance(cfg, Mapping) else None
    of = f' of {source!r}' if isinstance(source, str) and source else ''
    return (
        f'{name}{of} cannot be built from its config{where}: '
        f'{quote(error, frames)}'
    )


def explain_runner_settings(
    error: BaseException, frames: Frames
) -> str | None:
    """Settings that MMEngine's runner itself refuses."""
    places = [
        i for i, frame in enumerate(frames) if module_of(frame) == RUNNER
    ]
    if (
        not places
        or loop_has_begun(frames)
        or not all_of_hosts(frames[places[-1] :])
        or (not READING.fullmatch(frames[places[-1]].f_code.co_name))
    ):
        return None
    frame = frames[places[-1]]
    name = frame.f_code.co_name
    topic = (
        name[6:]
        if name.startswith('build_')
        else {
            'set_randomness': 'randomness',
            'scale_lr': 'auto_scale_lr',
            'setup_env': 'env_cfg',
            'register_hook': 'hook',
        }.get(name, '')
    )
    given = frame.f_locals.get(topic, frame.f_locals.get('dataloader_cfg'))
    if isinstance(given, Mapping):
        topic += (
            ' '
            + str(
                {
                    k: v
                    for k, v in given.items()
                    if not isinstance(v, (Mapping, list))
                    and k not in ('dataset', 'sampler')
                }
            )[:300]
        )
    return (
        f'MMEngine refuses the {topic or "settings"} of the config: '
        f'{quote(error, frames)}'
    )
