# Copyright (c) mmdiffkd contributors.
"""Pair the levels of two models by their strides."""

import re
from collections.abc import Mapping
from math import log2
from typing import Any, NamedTuple

from ..connectors.widths import class_of, missing_widths
from .layout import layout_of
from .probe import Probe, Shape
from .records import BothModels

SIDES = ('student', 'teacher')
PLACES = ('outputs', 'data_idx', 'record_idx')
"""Keys of a pair, or of one side of it, that say where its levels are."""


class Outputs(NamedTuple):
    """What a source gives.

    Attributes:
        names (list[str]): A name for each output: ``p3`` for a stride of 8
            pixels, ``p3b`` for the second such, a number for what is no
            place of an image.
        key (str, optional): ``'data_idx'`` where they are the elements of
            one record, ``'record_idx'`` where the module is called for each,
            None where there is one output.
    """

    names: list[str]
    key: str | None


def find_levels(
    pairs: Mapping[str, Any], models: BothModels
) -> dict[str, dict[str, Any]]:
    """Find the levels of pairs that do not name them.

    Levels of equal stride are compared. Where no stride is common to both
    sides, it is the last output of each. Levels that are named, but whose
    strides differ between the sides, are put right, if widths are left out
    as well; else they are left to the config.

    Args:
        pairs (Mapping): Pairs by name, see
            :func:`~mmdiffkd.models.distillers.pairs.expand_pairs`.
        models (BothModels): Student and teacher.

    Returns:
        dict[str, dict]: What to merge over each pair.
    """
    wanted = {
        name: _sources(pair)
        for name, pair in pairs.items()
        if isinstance(pair, Mapping) and (_unnamed(pair) or _doubtful(pair))
    }
    wanted = {name: both for name, both in wanted.items() if all(both)}
    if not wanted:
        return {}
    names = [
        dict(model.named_modules())
        for model in (models.student, models.teacher)
    ]
    # To the end: a module may be called once for each level.
    needs = [
        {
            both[i]: float('inf')
            for both in wanted.values()
            if both[i] in names[i]
        }
        for i in range(2)
    ]
    seen = models.probe(*needs)
    found = {}
    for name, both in wanted.items():
        ours, theirs = map(outputs_of, seen, both)
        if ours is not None and theirs is not None:
            values = _values(pairs[name], ours, theirs)
            if values:
                found[name] = values
    return found


def outputs_of(seen: Probe, source: str) -> Outputs | None:
    """Name the outputs of a module by their strides.

    Args:
        seen (Probe): What was recorded.
        source (str): The module.

    Returns:
        Outputs | None: None if it was never called.
    """
    calls = seen.outputs.get(source)
    if not calls:
        return None
    if isinstance(calls[0], list):
        return Outputs(names_of(calls[0], seen.size), 'data_idx')
    if len(calls) > 1:
        return Outputs(names_of(calls, seen.size), 'record_idx')
    return Outputs(names_of(calls, seen.size), None)


def names_of(shapes: list[Any], image: int) -> list[str]:
    """Name features by their strides, see :class:`Outputs`.

    Args:
        shapes (list): A :class:`~.probe.Shape` for each.
        image (int): Height and width of the dummy image, in pixels.

    Returns:
        list[str]: As many names.
    """
    names: list[str] = []
    for i, shape in enumerate(shapes):
        layout = layout_of(shape, image) if isinstance(shape, Shape) else None
        if layout is None or not layout.stride:
            names.append(str(i))
            continue
        name = f'p{round(log2(layout.stride))}'
        copies = sum(re.sub('[a-z]+$', '', n) == name for n in names)
        names.append(name + (chr(ord('a') + copies) if copies else ''))
    return names


def _sources(pair: Mapping[str, Any]) -> list[Any]:
    """The student's and the teacher's; None for what is no single module."""
    found = []
    for side in SIDES:
        own = _side(pair, side)
        source = own.get('source', pair.get('source'))
        kind = own.get('recorder_type', pair.get('recorder_type'))
        plain = isinstance(source, str) and '{' not in source
        found.append(
            source if plain and kind in (None, 'ModuleOutputs') else None
        )
    return found


def _side(pair: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    own = pair.get(side)
    return own if isinstance(own, Mapping) else {}


def _given(pair: Mapping[str, Any], key: str) -> bool:
    return any(
        entry.get(key) is not None
        for entry in (pair, *(_side(pair, side) for side in SIDES))
    )


def _unnamed(pair: Mapping[str, Any]) -> bool:
    """Whether nothing says where the levels are."""
    return not any(_given(pair, key) for key in ('levels', *PLACES))


def _doubtful(pair: Mapping[str, Any]) -> bool:
    """Whether the levels are named alone, with widths left to find."""
    kind = class_of(pair.get('connector'))
    return (
        pair.get('levels') is not None
        and not any(_given(pair, key) for key in PLACES)
        and kind is not None
        and bool(missing_widths(kind, pair['connector']))
    )


def _values(
    pair: Mapping[str, Any], student: Outputs, teacher: Outputs
) -> dict[str, Any]:
    both = dict(student=student, teacher=teacher)
    named = pair.get('levels')
    if named and (
        student.names[: len(named)] == teacher.names[: len(named)]
        or 'data_idx' not in (student.key, teacher.key)
    ):
        return {}
    if student.key is None and teacher.key is None:
        return {}
    common = [
        name
        for name in student.names
        if name in teacher.names and not name.isdigit()
    ]
    levels = [name for name in named or () if name in common] or common
    several = max(len(o.names) for o in both.values()) > 1
    values: dict[str, Any] = {}
    if not several or not levels or None in (student.key, teacher.key):
        for side, outputs in both.items():
            if outputs.key is not None:
                at = outputs.names.index(levels[-1]) if levels else -1
                values[side] = {outputs.key: at}
        return values
    for side, outputs in both.items():
        values[side] = dict(
            outputs=[
                name if name in common else f'{side}_{i}_{name}'
                for i, name in enumerate(outputs.names)
            ],
            index=outputs.key,
        )
    return dict(levels=levels, **values)
