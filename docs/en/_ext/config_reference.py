# Copyright (c) mmdiffkd contributors.
"""Every key of every registered class, from its signature and docstring."""

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from sphinx.ext.napoleon import Config, GoogleDocstring

from mmdiffkd import registry
from mmdiffkd.diffusion import (
    RECIPES,
    FeatureDiffusion,
    FeatureMimicking,
    SelfDiffusion,
)
from mmdiffkd.models import (
    DiffKDConnector,
    DiffKDLoss,
    DSKDConnector,
    MimicConnector,
)
from mmdiffkd.utils.kinds import arguments_of

HANDED_ON: dict[type, type] = {
    DiffKDConnector: FeatureDiffusion,
    DiffKDLoss: FeatureDiffusion,
    MimicConnector: FeatureMimicking,
    DSKDConnector: SelfDiffusion,
}
"""To which class one hands on what it does not take itself."""

ROOMS = {
    'models.algorithms': 'Algorithms: `model`',
    'models.distillers': 'Distillers: `model.distiller`',
    'models.connectors': 'Connectors: `connector` of a pair',
    'models.losses': 'Distances: `loss` of a pair',
    'diffusion': 'Parts of a diffusion model',
    'engine.hooks': 'Hooks: `custom_hooks`, `default_hooks`',
    'engine': 'Optimizer',
    'datasets': 'Data',
    'models.backbones': 'Backbones',
}
"""Folders of the package and their headings, in the order of the page."""


class Key(NamedTuple):
    """What a config may write, and what it does."""

    name: str
    kind: str
    default: str
    effect: str


@cache
def registered() -> dict[str, list[type]]:
    """The registered classes of this package, by the :data:`ROOMS`."""
    found: set[type] = set()
    for part in vars(registry).values():
        if isinstance(part, registry.Registry) and part.scope == 'mmdiffkd':
            part.import_from_location()
            found.update(part.module_dict.values())
    rooms: dict[str, list[type]] = {room: [] for room in ROOMS}
    for kind in sorted(found, key=lambda kind: kind.__name__):
        package, _, where = kind.__module__.partition('.')
        if package != 'mmdiffkd':
            continue  # whoever imports this may have added their own
        room = next(r for r in ROOMS if where.startswith(r + '.'))
        rooms[room].append(kind)
    return rooms


@cache
def documented(kind: type) -> dict[str, tuple[str, str]]:
    """Type and effect of the arguments in a class's own docstring."""
    text = inspect.cleandoc(kind.__dict__.get('__doc__') or '')
    lines = str(GoogleDocstring(text, Config(napoleon_use_param=True)))
    found: dict[str, list[str]] = {}
    field = None
    for line in lines.splitlines():
        if line.startswith(':'):
            what, _, rest = line[1:].partition(': ')
            word, _, name = what.rstrip(':').partition(' ')
            field = None
            if word in ('param', 'type') and name:
                field = found.setdefault(f'{word} {name}', [rest])
        elif line and not line.startswith(' '):
            field = None
        elif field is not None:
            field.append(line)
    names = [key.split()[-1] for key in found if key.startswith('param ')]
    return {
        name.replace('\\', ''): (
            ' '.join(found.get(f'type {name}', [''])).strip(),
            inspect.cleandoc('\n'.join(found[f'param {name}'])),
        )
        for name in names
    }


def accepted(kind: type) -> dict[str, tuple[type, inspect.Parameter]]:
    """Keys that a class takes, with the class that says what they do."""
    found = {
        name: (_spokesman(kind, name), parameter)
        for name, parameter in arguments_of(kind).items()
    }
    core = HANDED_ON.get(kind)
    return {**found, **(accepted(core) if core else {}), **found}


def keys(kind: type) -> list[Key]:
    """Every key of a class, the required ones first."""
    found = []
    for name, (owner, parameter) in accepted(kind).items():
        what, effect = documented(owner).get(name, ('', ''))
        if not _is_ours(owner):
            library = owner.__module__.split('.')[0]
            effect = f'As for ``{owner.__name__}`` of {library}. {effect}'
        found.append(Key(name, what, _default(name, parameter), effect))
    return sorted(found, key=lambda key: key.default != REQUIRED)


REQUIRED = 'required'


def _default(name: str, parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return REQUIRED
    if parameter.default is None and name in RECIPES['tuned']:
        return ', '.join(
            f'``{values[name]!r}`` ({recipe})'
            for recipe, values in sorted(RECIPES.items(), reverse=True)
        )
    return f'``{parameter.default!r}``'


def _is_ours(kind: type) -> bool:
    return kind.__module__.split('.')[0] == 'mmdiffkd'


def _spokesman(kind: type, name: str) -> type:
    """The nearest class that documents a key, or else defines it."""
    for base in kind.__mro__:
        if _is_ours(base) and name in documented(base):
            return base
    for base in kind.__mro__:
        constructor: Callable[..., Any] | None = vars(base).get('__init__')
        if constructor and name in inspect.signature(constructor).parameters:
            return base
    return kind


def config_reference() -> str:
    """The page: a heading and a table for each class."""
    text = []
    for room, kinds in registered().items():
        text.append(f'## {ROOMS[room]}\n')
        # Where the page of the API has what docstrings refer to.
        module = 'models' if room.startswith('models.') else room
        for kind in kinds:
            text += [f'### {kind.__name__}\n', *_section(kind, module)]
    return '\n'.join(text)


def _linked(text: str) -> str:
    """Let the names of registered classes lead to their tables."""
    names = {
        kind.__name__ for kinds in registered().values() for kind in kinds
    }
    return re.sub(
        r':class:`~?(?:[\w.]+\.)?(\w+)`',
        lambda role: (
            f'`{role[1]} <#{role[1].lower()}>`__'
            if role[1] in names
            else role[0]
        ),
        text,
    )


def _section(kind: type, module: str) -> list[str]:
    first = inspect.cleandoc(kind.__doc__ or '').partition('\n\n')[0]
    lines = [
        f'`mmdiffkd.{kind.__name__}`',
        '',
        '```{eval-rst}',
        f'.. py:currentmodule:: mmdiffkd.{module}',
        '',
        *_linked(first).splitlines(),
    ]
    table = keys(kind)
    if table:
        lines += ['', '.. list-table::', '   :header-rows: 1']
        lines += ['   :widths: 24 16 60', '']
        lines += ['   * - key', '     - default', '     - effect']
    for key in table:
        kind_of = f'({key.kind}) ' if key.kind else ''
        effect = _linked(kind_of + key.effect).splitlines() or ['']
        lines += [f'   * - ``{key.name}``', f'     - {key.default}']
        lines += [f'     - {effect[0]}']
        lines += [f'       {line}'.rstrip() for line in effect[1:]]
    return [*lines, '```', '']
