# Copyright (c) mmdiffkd contributors.
"""Fill in the numbers of a distiller that its two models know."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import nn

from mmdiffkd.diffusion.feature_layout import SEQUENCE, SQUARE
from mmdiffkd.utils import UserError

from ..connectors.widths import OWN_WIDTHS, WIDTHS, class_of, missing_widths
from .layout import Layout
from .records import BothModels, Side, look, mismatch


class Use(NamedTuple):
    """Where a connector is used.

    Attributes:
        name (str): The connector.
        config (Mapping): Its config.
        kind (type): Its class.
        records (Mapping): Entry of the mapping that feeds it.
        from_student (bool, optional): Which side a stock connector sees;
            None of a paired connector.
    """

    name: str
    config: Mapping[str, Any]
    kind: type
    records: Mapping[str, Mapping[str, Any]]
    from_student: bool | None

    @property
    def paired(self) -> bool:
        """Whether it sees both sides."""
        return self.from_student is None

    @property
    def missing(self) -> list[str]:
        """Widths that its class requires, and its config leaves out."""
        return missing_widths(self.kind, self.config)

    def side(self, from_student: bool) -> Mapping[str, Any] | None:
        """The record of one side, unless it is another connector's output."""
        for record in self.records.values():
            if record['from_student'] == from_student:
                through = record.get('connector')
                return record if through in (None, self.name) else None
        return None


def fill_in(
    distiller: Mapping[str, Any], models: BothModels
) -> dict[str, dict[str, Any]]:
    """Find what the connectors of a distiller leave out.

    Where anything is left out, one dummy image goes through both models, as
    far as the modules that the connectors read; the models stay as they are.
    Found are the widths; and for connectors that see both sides, where the
    features say so, ``token_shape``, ``num_class_tokens`` and ``resize``.

    Args:
        distiller (Mapping): Arguments of a distiller, its ``pairs`` expanded.
        models (BothModels): Student and teacher.

    Returns:
        dict[str, dict]: For each connector, the arguments found.

    Raises:
        UserError: If something cannot be found, or the two features do not
            go together; it shows the features of both models.
    """
    uses = [u for u in connector_uses(distiller) if _recorded(u, distiller)]
    # A network of convolutions alone has no tokens to look for.
    attention = any(
        isinstance(module, nn.LayerNorm)
        for model in (models.student, models.teacher)
        for module in model.modules()
    )
    uses = [u for u in uses if u.missing or (attention and _may_be_tokens(u))]
    incomplete = [use.name for use in uses if use.missing]
    if not uses:
        return {}
    try:
        sides = look(
            models,
            distiller.get('student_recorders') or {},
            distiller.get('teacher_recorders') or {},
            [record for use in uses for record in use.records.values()],
        )
    except UserError as error:
        if not incomplete:
            return {}  # Nothing has to be known.
        raise UserError(f'connectors {incomplete}: {error}') from error
    found = {use.name: _values(use, *sides) for use in uses}
    return {name: values for name, values in found.items() if values}


def connector_uses(distiller: Mapping[str, Any]) -> Iterator[Use]:
    """Find where each connector of a distiller gets its features.

    Entries that are wrong are left to the distiller's own checks, and lists
    of connectors, whose inner widths are free, to their author.
    """
    paired, losses, connectors = (
        distiller.get(part) or {}
        for part in (
            'connector_forward_mappings',
            'loss_forward_mappings',
            'connectors',
        )
    )
    if not all(isinstance(x, Mapping) for x in (paired, losses, connectors)):
        return
    for name, config in connectors.items():
        kind = class_of(config)
        if kind is None:
            continue
        if name in paired:
            if _sound(paired[name]):
                yield Use(name, config, kind, paired[name], None)
            continue
        for mapping in filter(_sound, losses.values()):
            sides = [
                record['from_student']
                for record in mapping.values()
                if record.get('connector') == name
            ]
            if sides:
                yield Use(name, config, kind, mapping, sides[0])
                break


def _sound(mapping: Any) -> bool:
    """Whether a mapping is what the distiller's own checks will accept."""
    return isinstance(mapping, Mapping) and all(
        isinstance(record, Mapping)
        and isinstance(record.get('recorder'), str)
        and isinstance(record.get('from_student'), bool)
        for record in mapping.values()
    )


def _recorded(use: Use, distiller: Mapping[str, Any]) -> bool:
    """Whether its records name recorders; others are refused later."""
    for record in use.records.values():
        side = 'student' if record['from_student'] else 'teacher'
        recorders = distiller.get(f'{side}_recorders') or {}
        recorder = (
            recorders.get(record['recorder'])
            if isinstance(recorders, Mapping)
            else None
        )
        if not isinstance(recorder, Mapping) or not all(
            isinstance(recorder.get(key), str) for key in ('type', 'source')
        ):
            return False
    return True


def _may_be_tokens(use: Use) -> bool:
    return use.paired and use.config.get('token_shape') is None


def _values(use: Use, student: Side, teacher: Side) -> dict[str, Any]:
    """The arguments of one connector that were left out."""
    records = use.side(True), use.side(False)
    s, t = (
        side.layout(record) if record is not None else None
        for side, record in zip((student, teacher), records)
    )
    missing = use.missing
    if s is None or t is None:
        if not missing:
            return {}
        raise mismatch(
            f"connector '{use.name}'",
            f'{", ".join(missing)} cannot be found, because its mapping does '
            'not lead to a map (N, C, H, W), tokens (N, L, C) or a vector '
            '(N, C) on both sides; set record_idx and data_idx to one of '
            'these, or write the numbers yourself',
            student,
            teacher,
            use.records,
        )
    values = {}
    for name in missing:
        if use.paired or name in WIDTHS:
            of_student = name == 'student_channels'
        else:
            of_student = use.from_student == (name in OWN_WIDTHS)
        values[name] = (s if of_student else t).channels
    if use.paired:
        try:
            values.update(token_values(use.config, s, t, student.seen.fixed))
            if missing:
                values.update(size_values(use.config, s, t))
        except ValueError as error:
            raise mismatch(
                f"connector '{use.name}'",
                str(error),
                student,
                teacher,
                use.records,
            ) from error
    return values


def token_values(
    config: Mapping[str, Any], s: Layout, t: Layout, fixed: bool = True
) -> dict[str, Any]:
    """How the tokens of one or both sides are laid out.

    Args:
        config (Mapping): Of the connector.
        s (Layout): The student's feature.
        t (Layout): The teacher's.
        fixed (bool): Whether the student names the size of its images. Else
            the training may show the teacher images of another size than
            its own. Defaults to True.

    Returns:
        dict: ``token_shape`` and ``num_class_tokens``, where there are
        tokens and the config leaves them out.

    Raises:
        ValueError: If one side is a sequence and the other is not.
    """
    kinds = {s.kind, t.kind}
    if not kinds & {'tokens', 'sequence'}:
        return {}
    values: dict[str, Any] = {}
    if 'sequence' in kinds:
        if config.get('token_shape') is not None:
            return {}
        if kinds != {'sequence'}:
            raise ValueError(
                'the tokens of one side fill no single map of a fixed size, '
                f'those of the other do ({s.kind} and {t.kind}); record the '
                'maps that they are made of, such as those of the neck'
            )
        values = dict(token_shape=SEQUENCE)
    else:
        shapes = [x.size for x in (s, t) if x.kind == 'tokens']
        one = len(set(shapes)) == 1
        values = dict(token_shape=shapes[0] if one else tuple(shapes))
        if s.kind == 'map' and not fixed:
            values = dict(token_shape=SQUARE)
        dropped = (s.class_tokens, t.class_tokens)
        if kinds != {'tokens'} or dropped[0] == dropped[1]:
            values['num_class_tokens'] = max(dropped)
        else:
            values['num_class_tokens'] = dropped
    return {k: v for k, v in values.items() if config.get(k) is None}


def size_values(
    config: Mapping[str, Any], s: Layout, t: Layout
) -> dict[str, Any]:
    """How a student's map comes to the size of the teacher's.

    Enlarging it loses nothing, and is chosen; to shrink it is a decision.

    Raises:
        ValueError: If the student's map is the larger, or one is a vector.
    """
    if config.get('resize') is not None or s.size == t.size:
        return {}
    if 'vector' in (s.kind, t.kind):
        raise ValueError(
            f'the student gives a {s.kind} and the teacher a {t.kind}; record '
            'maps, or vectors, on both sides'
        )
    if s.size[0] > t.size[0] or s.size[1] > t.size[1]:
        raise ValueError(
            f"the student's map of {s.size} is larger than the teacher's of "
            f'{t.size}: pair levels of equal stride, or set resize="area" of '
            "the connector to average the student's"
        )
    return dict(resize='bilinear')
