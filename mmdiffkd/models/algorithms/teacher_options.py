# Copyright (c) mmdiffkd contributors.
"""Which options of a teacher change what it computes, unnoticed?

A teacher's checkpoint says whether its weights fit. An option that leaves all
names and shapes as they were, such as an epsilon, or another order of norm
and pooling, fits any checkpoint and gives another function.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from torch import nn

# The checkpoint takes the place of what these load.
OF_THE_START = {'init_cfg', 'pretrained'}


def silent_options(
    options: Mapping[str, Any],
    before: Config,
    after: Config,
    teacher: nn.Module,
    build: Callable[[Config], nn.Module],
) -> list[str]:
    """List the options that keep every weight of the part they are in.

    Args:
        options (Mapping): Options by dotted names that begin at the top of
            the config, such as ``model.backbone.depth``.
        before (Config): The teacher's config without them.
        after (Config): The same with them.
        teacher (nn.Module): The teacher with them.
        build (Callable): Builds the model of a config.

    Returns:
        list[str]: Text for each, such as
        ``model.backbone.norm_eps=0.1 (its config: 1e-05)``.
    """
    changed = [
        (name, value, _value(before, name))
        for name, value in _leaves(options)
        if name.split('.')[0] in ('model', 'data_preprocessor')
        and not OF_THE_START & set(name.split('.'))
        and _plain(_value(before, name)) != _plain(_value(after, name))
    ]
    if not changed:
        return []
    try:
        stock = _shapes(build(copy.deepcopy(before)))
    except Exception:  # without its options it may be no model at all
        stock = None
    own = _shapes(teacher)
    return [
        f'{name}={_short(value)} (its config: {_short(old)})'
        for name, value, old in changed
        if stock is None
        or _below(stock, part := _module_of(name, teacher))
        == _below(own, part)
    ]


def _leaves(options: Mapping, start: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        name = f'{start}{key}'
        if isinstance(value, Mapping) and value and 'type' not in value:
            yield from _leaves(value, f'{name}.')
        else:
            yield name, value


_ABSENT = 'not set'


def _value(config: Any, name: str) -> Any:
    for word in name.split('.'):
        if isinstance(config, (list, tuple)) and word.isdigit():
            config = config[int(word)] if int(word) < len(config) else _ABSENT
        elif isinstance(config, (Mapping, Config)) and word in config:
            config = config[word]
        else:
            return _ABSENT
    return config


def _plain(value: Any) -> Any:
    """Lists, dicts and numbers, so that like things compare as equal."""
    if isinstance(value, Mapping):
        return {
            key: str(item).split('.')[-1]
            if key == 'type' and isinstance(item, str)  # without its scope
            else _plain(item)
            for key, item in value.items()
        }
    tolist = getattr(value, 'tolist', None)  # arrays and tensors
    value = value if tolist is None else tolist()
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


def _module_of(name: str, model: nn.Module) -> str:
    """The innermost module that an option is said below."""
    words = name.split('.')
    words = words[1:] if words[0] == 'model' else words
    known = dict(model.named_modules())
    for end in range(len(words), 0, -1):
        if '.'.join(words[:end]) in known:
            return '.'.join(words[:end])
    return ''


def _shapes(model: nn.Module) -> dict[str, tuple]:
    return {
        name: tuple(getattr(value, 'shape', ()))
        for name, value in model.state_dict().items()
    }


def _below(shapes: Mapping[str, tuple], part: str) -> dict[str, tuple]:
    start = f'{part}.' if part else ''
    return {k: v for k, v in shapes.items() if k.startswith(start)}


def _short(value: Any) -> str:
    if value is _ABSENT:
        return _ABSENT
    text = repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 60 else text[:57] + '...'
