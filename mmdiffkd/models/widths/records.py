# Copyright (c) mmdiffkd contributors.
"""Find the features that a distiller's mappings name, in a probe."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from mmdiffkd.utils import UserError, closest

from .layout import Layout, layout_of
from .probe import Probe, Shape, probe, require
from .tables import side_by_side


class Side(NamedTuple):
    """One of the two models, and what a dummy image left in it.

    Attributes:
        name (str): ``'student'`` or ``'teacher'``.
        recorders (Mapping): Configs of its recorders.
        seen (Probe): What was recorded.
    """

    name: str
    recorders: Mapping[str, Any]
    seen: Probe

    def source(self, record: Mapping[str, Any]) -> str:
        """The module that a record of a mapping comes from."""
        return self.recorders[record['recorder']]['source']

    def output(self, record: Mapping[str, Any]) -> Any:
        """The shapes under a record's indices, or None beyond them."""
        recorder = self.recorders[record['recorder']]
        of_inputs = str(recorder['type']).endswith('ModuleInputs')
        calls = self.seen.inputs if of_inputs else self.seen.outputs
        found: Any = calls.get(recorder['source'])
        for key, default in (('record_idx', 0), ('data_idx', None)):
            index = record.get(key, default)
            if index is None:
                continue
            if not isinstance(found, list) or not (
                -len(found) <= index < len(found)
            ):
                return None
            found = found[index]
        return found

    def layout(self, record: Mapping[str, Any]) -> Layout | None:
        """The layout of the feature that a record names."""
        shape = self.output(record)
        if not isinstance(shape, Shape):
            return None
        layout = layout_of(shape, self.seen.size)
        if layout and layout.kind == 'tokens' and not self.seen.fixed:
            # Their number changes with the image, and so does (H, W).
            tokens = shape.dims[1]
            return Layout('sequence', layout.channels, (tokens, 1))
        return layout


class BothModels:
    """The models of a distillation, and what is known of their shapes.

    Args:
        student (nn.Module): Built, left as it is.
        teacher (nn.Module): Likewise.
        seen (tuple[Probe, Probe], optional): Earlier probes of both. Defaults
            to None.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        seen: tuple[Probe, Probe] | None = None,
    ) -> None:
        self.student, self.teacher = student, teacher
        self._seen = seen

    def probe(self, *needs: Mapping[str, float]) -> tuple[Probe, Probe]:
        """What a dummy image leaves in them, see :func:`probe_pair`."""
        if self._seen is None or not all(
            one.answers(need) for one, need in zip(self._seen, needs)
        ):
            self._seen = probe_pair(self.student, self.teacher, *needs)
        return self._seen


def look(
    models: BothModels,
    student_recorders: Mapping[str, Any],
    teacher_recorders: Mapping[str, Any],
    records: list[Mapping[str, Any]],
) -> tuple[Side, Side]:
    """Probe both models for some records, with one image if both take it.

    Args:
        models (BothModels): Student and teacher.
        student_recorders (Mapping): Configs of recorders.
        teacher_recorders (Mapping): Likewise.
        records (list[Mapping]): Entries of the mappings.

    Returns:
        tuple[Side, Side]: Student and teacher.

    Raises:
        UserError: If a source does not exist or is never called.
    """
    needs = []
    for side, model, recorders in (
        ('student', models.student, student_recorders),
        ('teacher', models.teacher, teacher_recorders),
    ):
        wanted = {
            r['recorder']: r
            for r in records
            if r['from_student'] == (side == 'student')
        }
        modules = dict(model.named_modules())
        need: dict[str, float] = {}
        for name in wanted:
            check_source(side, name, recorders[name], model, modules)
            index = max(
                _calls(r.get('record_idx', 0))
                for r in records
                if r['recorder'] == name
            )
            source = recorders[name]['source']
            need[source] = max(index, need.get(source, 0))
        needs.append(need)
    seen = models.probe(*needs)
    for name, one, need in zip(('student', 'teacher'), seen, needs):
        require(one, need, name)
    return (
        Side('student', student_recorders, seen[0]),
        Side('teacher', teacher_recorders, seen[1]),
    )


def probe_pair(
    student: nn.Module,
    teacher: nn.Module,
    student_need: Mapping[str, float] | None = None,
    teacher_need: Mapping[str, float] | None = None,
) -> tuple[Probe, Probe]:
    """Probe both models, with an image of one size if both take it."""
    one = probe(student, student_need)
    two = probe(teacher, teacher_need)
    if one.size != two.size:
        # A model that names its size decides, the student before the teacher.
        if two.fixed and not one.fixed:
            again = probe(student, student_need, two.size)
            one = one if again.error and not one.error else again
        else:
            again = probe(teacher, teacher_need, one.size)
            two = two if again.error and not two.error else again
    return one, two


def check_source(
    side: str,
    name: str,
    recorder: Mapping[str, Any],
    model: nn.Module,
    modules: Mapping[str, Any],
) -> None:
    """Check that a dummy image can tell what a recorder records.

    Raises:
        UserError: If it records no module, or one that does not exist.
    """
    where, source = f'{side}_recorders.{name}', recorder['source']
    if str(recorder['type']).split('.')[-1] not in (
        'ModuleOutputs',
        'ModuleInputs',
    ):
        raise UserError(
            f'{where} is of type {recorder["type"]}: only the widths of what '
            'ModuleOutputs and ModuleInputs record are found; write '
            'student_channels and teacher_channels of its connector'
        )
    if source not in modules:
        raise UserError(
            f"{where}: source '{source}' is not a module of the {side} "
            f'{type(model).__name__}{closest(source, modules)}'
        )


def mismatch(
    where: str, why: str, student: Side, teacher: Side, records: Mapping
) -> UserError:
    """An error that shows what both models offer."""
    table = side_by_side(
        student.seen,
        teacher.seen,
        dict.fromkeys(
            student.source(r) for r in records.values() if r['from_student']
        ),
        dict.fromkeys(
            teacher.source(r)
            for r in records.values()
            if not r['from_student']
        ),
    )
    return UserError(f'{where}: {why}\n{table}')


def _calls(record_idx: int) -> float:
    return record_idx + 1 if record_idx >= 0 else float('inf')
