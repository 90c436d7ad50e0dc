# Copyright (c) mmdiffkd contributors.
"""The keys of a pair, and its levels; see :mod:`.pairs`."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import ConfigDict

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.kinds import fits, words

SIDES = ('student', 'teacher')
INDICES = ('record_idx', 'data_idx')
Index = int | None

# What is recorded, and which of it.
RECORD = dict(
    source=str,
    recorder_type=str,
    recorder_name=str,
    record_idx=int,
    data_idx=Index,
)
# Said for both sides; `student` and `teacher` say otherwise for one.
BOTH = dict(
    **RECORD,
    outputs=list,
    index=str,
    connector=dict | list,
    connector_name=str,
    connector_idx=Index,
)
SIDE = dict(**BOTH, loss_argument=str)
PAIR = dict(
    **BOTH,
    student=dict,
    teacher=dict,
    levels=list,
    per_level=dict,
    connector_inputs=dict,
    loss=dict,
    loss_name=str,
    losses=dict,
    loss_inputs=dict,
)
NOT_PER_LEVEL = ('outputs', 'index', 'levels', 'per_level')
SIDE_PER_LEVEL = {k: v for k, v in SIDE.items() if k not in NOT_PER_LEVEL}
PER_LEVEL = {k: v for k, v in PAIR.items() if k not in NOT_PER_LEVEL}
# A further argument of a loss or a connector.
INPUT = dict(
    **RECORD,
    index=str,
    from_student=bool,
    connector=str,
    connector_idx=Index,
)


def merge(base: Mapping, over: Mapping) -> dict:
    """Merge as MMEngine's inheritance does, ``_delete_`` included."""
    merged = ConfigDict(base)
    merged.merge(ConfigDict(over))
    return merged.to_dict()


def checked(where: str, entry: Any, known: Mapping[str, Any]) -> dict:
    """Check the keys of an entry and the kinds of their values.

    Args:
        where (str): The config key, for the message.
        entry (Any): Its value.
        known (Mapping): Kinds by key.

    Returns:
        dict: A copy without what is None, which says "as if it were not
        given". Of an index, None is a value: the record as a whole.

    Raises:
        UserError: Naming the key.
    """
    if not isinstance(entry, Mapping):
        raise UserError(f'{where} must be a dict, got {entry!r}')
    entry = ConfigDict(entry).to_dict()
    entry.pop('_delete_', None)  # of an entry that no base has
    for key, value in list(entry.items()):
        if key not in known:
            raise UserError(
                f'{where} has the unknown key {key!r}'
                + (
                    ': the levels to compare are those of both sides; what '
                    'the modules of one side give is named by its outputs'
                    if key == 'levels'
                    else closest(key, known)
                )
            )
        if value is None and known[key] is not Index:
            del entry[key]
        elif key in ('outputs', 'levels') and isinstance(value, str):
            raise UserError(
                f"{where}.{key} must be a list; of one level, ['{value}'], on "
                f'the command line [{value}]'
            )
        elif not fits(value, known[key]):
            raise UserError(
                f'{where}.{key} must be {words(known[key])}, got {value!r}'
            )
    for key in ('outputs', 'levels'):
        if key in entry:
            _check_names(f'{where}.{key}', entry[key])
    if entry.get('index', 'data_idx') not in INDICES:
        raise UserError(
            f"{where}.index must be 'data_idx' (the outputs are the elements "
            "of one record) or 'record_idx' (the module is called once for "
            f'each), got {entry["index"]!r}'
        )
    return entry


def _check_names(where: str, names: Any) -> None:
    if (
        not names
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) < len(names)
    ):
        raise UserError(
            f'{where} must be a list of different names, such as '
            f"['p3', 'p4', 'p5'], got {names!r}"
        )


def levels(where: str, pair: Any) -> Iterator[tuple[str, dict]]:
    """Take a pair apart into its levels.

    Args:
        where (str): The config key, for messages.
        pair (Any): Its value.

    Yields:
        tuple[str, dict]: Name of a level, empty if there are none, and what
        is said of it: ``student`` and ``teacher`` are complete, ``places``
        has its number among the outputs of either.

    Raises:
        UserError: If a key, a kind or a level is wrong.
    """
    pair = checked(where, pair, PAIR)
    for side in SIDES:
        pair[side] = checked(f'{where}.{side}', pair.get(side, {}), SIDE)
    outputs = {
        side: list(
            pair[side].get('outputs')
            or pair.get('outputs')
            or pair.get('levels', [])
        )
        for side in SIDES
    }
    changes = _changes(where, pair, outputs)
    for level in _chosen(where, pair, outputs):
        change = changes.get(level, {})
        here = merge(pair, change)
        here['places'] = {
            side: outputs[side].index(level) for side in SIDES if level
        }
        for side in SIDES:
            own = {**change, **change.get(side, {})}
            here[side] = _side(where, here, side, level, outputs[side], own)
        yield level, here


def _changes(where: str, pair: dict, outputs: Mapping) -> dict[str, dict]:
    """Take what is said of single levels out of a pair."""
    known = list(dict.fromkeys(name for o in outputs.values() for name in o))
    changes = {}
    for level, change in pair.pop('per_level', {}).items():
        if level not in known:
            raise UserError(
                f'{where}.per_level: {level!r} is not among the levels '
                f'{known}{closest(level, known)}'
            )
        there = f'{where}.per_level.{level}'
        changes[level] = change = checked(there, change, PER_LEVEL)
        for side in set(SIDES) & set(change):
            change[side] = checked(
                f'{there}.{side}', change[side], SIDE_PER_LEVEL
            )
    return changes


def _chosen(where: str, pair: Mapping, outputs: Mapping) -> list[str]:
    """The levels to compare, by default all that both sides have."""
    student, teacher = outputs.values()
    if not student and not teacher:
        return ['']
    for side, names in outputs.items():
        if not names:
            raise UserError(
                f'{where}: the outputs of one side are named, '
                f'{student or teacher}, those of the {side} are not; name '
                f'them too, {where}.{side}.outputs, or leave out both, and '
                'they are read from the models'
            )
    common = [level for level in student if level in teacher]
    if not common:
        raise UserError(
            f'{where}: student and teacher have no level in common: the '
            f"student's outputs are {student}, the teacher's {teacher}"
        )
    for level in pair.get('levels', []):
        for side, names in outputs.items():
            if level not in names:
                raise UserError(
                    f'{where}.levels: {level!r} is not among the outputs of '
                    f'the {side}, {names}{closest(level, names)}. If the '
                    f'module gives others, name all of them, in its order: '
                    f'{where}.outputs'
                )
    return list(pair.get('levels', common))


def _side(
    where: str,
    pair: Mapping,
    side: str,
    level: str,
    outputs: list[str],
    own: Mapping,
) -> dict:
    """What is said of both sides and of this one, and the level's place."""
    entry = {key: pair[key] for key in (*RECORD, 'index') if key in pair}
    entry.update(pair[side])
    index = entry.pop('index', 'data_idx')
    source = entry.get('source', '')
    if not level:
        return entry
    place = outputs.index(level)
    if '{level}' in source or '{index}' in source:
        # A module for each level, hence a recorder for each.
        source = source.replace('{level}', level)
        entry['source'] = source.replace('{index}', str(place))
        entry['recorder_tail'] = f'_{level}'
    elif index not in own:
        if index in entry:
            raise UserError(
                f'{where}: {index} counts the outputs {outputs} of the '
                f'{side}, so {entry[index]!r} cannot hold for all; if the '
                "module is called once for each, set index='record_idx', "
                'and for single levels use per_level'
            )
        entry[index] = place
    return entry
