# Copyright (c) mmdiffkd contributors.
"""The short form of a distiller's config.

A *pair* is what is compared: a feature of the student with one of the
teacher, on any number of levels. It is written out as the dicts of MMRazor's
``ConfigurableDistiller`` and the ``connector_forward_mappings`` of
:class:`~mmdiffkd.models.DiffKDDistiller`. docs/en/configs.md explains the
keys, :mod:`.pair_grammar` checks them.
"""

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

from mmengine.config import ConfigDict
from mmrazor.registry import MODELS

from mmdiffkd.registry import MODELS as OWN_MODELS
from mmdiffkd.utils import UserError, closest

from .config_checks import check_object
from .pair_grammar import INDICES, INPUT, SIDES, checked, levels, merge

PARTS = (
    'student_recorders',
    'teacher_recorders',
    'connectors',
    'connector_forward_mappings',
    'distill_losses',
    'loss_forward_mappings',
)

Parts = dict[str, dict[str, Any]]


def expand_pairs(pairs: Mapping[str, Any]) -> Parts:
    """Write pairs out as the dicts that MMRazor knows.

    Args:
        pairs (Mapping): Pairs by name; None drops one that a base has. The
            loss of a pair ``kd`` is called ``loss_kd``, and ``loss_kd_p3``
            on the level ``p3``.

    Returns:
        dict[str, dict]: The parts of :data:`PARTS`, each possibly empty.

    Raises:
        UserError: If a key is unknown or of a wrong kind, a level does not
            exist, a class is not registered or takes no two features, or two
            pairs give different things the same name. The message says
            which key.

    Example:
        >>> parts = expand_pairs(dict(
        ...     cwd=dict(
        ...         source='neck',
        ...         levels=['p3', 'p4', 'p5'],
        ...         loss=dict(type='mmrazor.ChannelWiseDivergence'))))
        >>> list(parts['distill_losses'])
        ['loss_cwd_p3', 'loss_cwd_p4', 'loss_cwd_p5']
    """
    if not isinstance(pairs, Mapping):
        raise UserError(f'distiller.pairs must be a dict, got {pairs!r}')
    parts: Parts = {part: {} for part in PARTS}
    for name, pair in pairs.items():
        if pair is None:
            continue
        where = f'pairs.{name}'
        if not isinstance(name, str) or not name:
            raise UserError(f'{where}: the name must be a string')
        for level, entry in levels(where, pair):
            tail = f'_{level}' if level else ''
            others = [other for other in pairs if other != name]
            _Level(parts, where, name, tail, entry, others).add()
    return parts


def expand_distiller(distiller: Mapping[str, Any]) -> ConfigDict:
    """Write the pairs of a distiller out, and merge its own parts over them.

    Args:
        distiller (Mapping): Config, or arguments, of a ``DiffKDDistiller``.

    Returns:
        ConfigDict: The same without ``pairs``.

    Raises:
        UserError: As :func:`expand_pairs`.
    """
    expanded = ConfigDict(distiller)
    expanded.pop('pairs', None)
    if distiller.get('pairs') is None:
        return expanded
    for part, entries in expand_pairs(distiller['pairs']).items():
        own = expanded.get(part)
        if own is None:
            if entries:
                expanded[part] = ConfigDict(entries)
        elif isinstance(own, Mapping):  # others are refused later
            expanded[part] = ConfigDict(merge(entries, own))
    return expanded


def summary(parts: Mapping[str, Any]) -> str:
    """Say in one line each what connectors and losses are given.

    Args:
        parts (Mapping): Parts of a distiller, without ``pairs``.

    Returns:
        str: The lines.
    """
    paired = parts.get('connector_forward_mappings') or {}

    def read(record: Mapping) -> str:
        side = SIDES[not record['from_student']]
        connector = record.get('connector')
        if connector in paired:
            return f'{connector}.{side}'
        recorders = parts[f'{side}_recorders']
        source = recorders.get(record['recorder'], {}).get('source')
        indices = [f'{k}={record[k]}' for k in INDICES if k in record]
        text = f'{side} {source}' + (
            f'[{", ".join(indices)}]' if indices else ''
        )
        return f'{connector}({text})' if connector else text

    lines = []
    for objects, mappings in (
        (parts.get('connectors'), paired),
        (parts.get('distill_losses'), parts.get('loss_forward_mappings')),
    ):
        for name, records in (mappings or {}).items():
            kind = (objects or {}).get(name, {}).get('type')
            given = [f'{key}={read(r)}' for key, r in records.items()]
            lines.append(f'{name}: {kind}({", ".join(given)})')
    return '\n'.join(lines)


class _Level:
    """One level of one pair, on its way into the parts.

    Args:
        parts (dict): Is filled.
        where (str): Config key of the pair, for messages.
        name (str): Name of the pair.
        tail (str): What the level adds to each name.
        entry (dict): What is said of the level.
        others (Sequence[str]): Names of the other pairs, for messages.
    """

    def __init__(
        self,
        parts: Parts,
        where: str,
        name: str,
        tail: str,
        entry: dict,
        others: Sequence[str] = (),
    ) -> None:
        self.parts, self.where, self.name = parts, where, name
        self.tail, self.entry, self.others = tail, entry, others

    def add(self) -> None:
        """Fill the parts."""
        entry = self.entry
        arguments = self._connector_arguments()
        records = {side: self._record(side) for side in SIDES}
        if arguments:
            records = self._pair_up(arguments, records)
        elif 'connector_inputs' in entry:
            raise UserError(
                f'{self.where}.connector_inputs: no connector sees both sides'
            )
        for side, record in records.items():
            for given in (entry, entry[side]):
                if 'connector_idx' in given:
                    record['connector_idx'] = given['connector_idx']
        # Config key and end of the name, for each loss.
        losses = {('loss', ''): entry.get('loss')}
        for key, loss in entry.get('losses', {}).items():
            losses[f'losses.{key}', f'_{key}'] = loss
        losses = {key: loss for key, loss in losses.items() if loss}
        if not losses and not arguments:
            raise UserError(f'{self.where} needs a loss: it compares nothing')
        for (key, end), loss in losses.items():
            self._add_loss(f'{self.where}.{key}', end, loss, records)

    def _connector_arguments(self) -> list[str]:
        """Names under which the connector takes both features, if it does.

        One that takes a single feature becomes the student's own.
        """
        connector = self.entry.get('connector')
        if not connector:
            return []
        arguments = self._paired(f'{self.where}.connector', connector)
        if not arguments:
            student = self.entry['student']
            if 'connector' in student:
                raise UserError(
                    f'{self.where}: connector transforms the feature of the '
                    'student, and so does student.connector; give one of them'
                )
            student['connector'] = connector
            student.setdefault(
                'connector_name', self.entry.get('connector_name', self.name)
            )
        return arguments

    def _paired(self, where: str, connector: Any) -> list[str]:
        chain = _is_chain(connector)
        for item in connector if chain else [connector]:
            check_object(where, item)
        if chain:  # MMRazor's, of connectors that take one feature
            return []
        needed = [
            name
            for name, parameter in _forward(where, connector).items()
            if parameter.default is parameter.empty
        ]
        return needed[:2] if len(needed) > 1 else []

    def _record(self, side: str) -> dict[str, Any]:
        """Where the feature of a side is found, after its own connector."""
        entry = self.entry[side]
        recorder = entry.get('recorder_name', self.name)
        recorder += entry.get('recorder_tail', '')
        record = self._recorded(self.where, side, recorder, entry)
        if 'connector' in entry:
            where = f'{self.where}.{side}.connector'
            if self._paired(where, entry['connector']):
                raise UserError(
                    f'{where}: {entry["connector"]["type"]} sees both sides; '
                    f'it belongs into {self.where}.connector'
                )
            name = self.entry.get('connector_name', self.name)
            name = entry.get('connector_name', f'{name}_{side}') + self.tail
            self._put('connectors', name, entry['connector'], 'connector_name')
            record['connector'] = name
        return record

    def _recorded(
        self, where: str, side: str, name: str, entry: Mapping
    ) -> dict[str, Any]:
        """Make a recorder, unless it is another pair's, and read from it."""
        recorders = self.parts[f'{side}_recorders']
        if 'source' in entry:
            recorder = dict(
                type=entry.get('recorder_type', 'ModuleOutputs'),
                source=entry['source'],
            )
            there = recorders.setdefault(name, recorder)
            if there != recorder:
                raise UserError(
                    f'{where}: the {side} recorder {name!r} of another pair '
                    f'records {there["source"]!r} ({there["type"]}), this '
                    f'one {recorder["source"]!r} ({recorder["type"]}); set '
                    'recorder_name'
                )
        elif 'recorder_name' not in entry:
            raise UserError(
                f'{where} needs a source: the name of the module of the '
                f"{side} whose output is compared, such as 'neck'"
                + (f'; the other pairs are {self.others}' * bool(self.others))
            )
        indices = {key: entry[key] for key in INDICES if key in entry}
        return dict(recorder=name, from_student=side == 'student', **indices)

    def _pair_up(
        self, arguments: list[str], records: Mapping[str, dict]
    ) -> dict[str, dict]:
        """Add a connector that sees both sides, and read its output."""
        name = self.entry.get('connector_name', self.name) + self.tail
        self._put(
            'connectors', name, self.entry['connector'], 'connector_name'
        )
        self.parts['connector_forward_mappings'][name] = dict(
            zip(arguments, records.values()),
            **self._inputs('connector_inputs'),
        )
        return {
            side: dict(
                recorder=record['recorder'],
                from_student=record['from_student'],
                connector=name,
            )
            for side, record in records.items()
        }

    def _add_loss(
        self, where: str, end: str, loss: Any, records: Mapping
    ) -> None:
        check_object(where, loss)
        arguments = list(_forward(where, loss))[:2]
        if len(arguments) < 2:
            raise UserError(
                f'{where}: the forward of {loss["type"]} takes {arguments}, '
                'not a feature of each side; write distill_losses and '
                'loss_forward_mappings by hand'
            )
        for place, side in enumerate(SIDES):
            arguments[place] = self.entry[side].get(
                'loss_argument', arguments[place]
            )
        name = self.entry.get('loss_name', f'loss_{self.name}')
        name += end + self.tail
        self._put('distill_losses', name, loss, 'loss_name')
        self.parts['loss_forward_mappings'][name] = dict(
            zip(arguments, map(dict, records.values())),
            **self._inputs('loss_inputs'),
        )

    def _inputs(self, key: str) -> dict[str, dict]:
        """Further arguments of a forward, such as labels."""
        inputs = {}
        for argument, entry in self.entry.get(key, {}).items():
            where = f'{self.where}.{key}.{argument}'
            entry = checked(where, entry, INPUT)
            side = SIDES[not entry.get('from_student', True)]
            name = entry.get('recorder_name', f'{self.name}_{argument}')
            if 'index' in entry and self.tail:
                entry[entry['index']] = self.entry['places'][side]
            inputs[argument] = self._recorded(where, side, name, entry)
            for further in ('connector', 'connector_idx'):
                if further in entry:
                    inputs[argument][further] = entry[further]
        return inputs

    def _put(self, part: str, name: str, item: Any, key: str) -> None:
        if name in self.parts[part]:
            raise UserError(
                f'{self.where}: there is another {name!r} in {part}; set {key}'
            )
        self.parts[part][name] = list(item) if _is_chain(item) else item


def _is_chain(connector: Any) -> bool:
    return isinstance(connector, (list, tuple))


def _forward(where: str, cfg: Mapping) -> dict[str, Parameter]:
    """Parameters that the forward of a registered class takes by name."""
    kind = cfg['type']
    if isinstance(kind, str):
        scope = cfg.get('_scope_')
        kind = MODELS.get(f'{scope}.{kind}' if scope else kind)
    if kind is None:
        known = [*MODELS.module_dict]
        known += [f'mmdiffkd.{name}' for name in OWN_MODELS.module_dict]
        raise UserError(
            f'{where}.type: {cfg["type"]!r} is not a registered class'
            f'{closest(cfg["type"], known)}. A class of your own must be '
            'imported: name its module in custom_imports'
        )
    parameters = signature(getattr(kind, 'forward', kind)).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if name != 'self'
        and parameter.kind
        in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
