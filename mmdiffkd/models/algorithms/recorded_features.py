# Copyright (c) mmdiffkd contributors.
"""Features of teacher and student on images without annotations."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmdiffkd.diffusion.recorded_chain import (
    RecordedPair,
    Stage,
    record_pair,
)
from mmdiffkd.utils import UserError
from mmdiffkd.utils.blame import blame

from .frozen_teacher_distill import FrozenTeacherDistill


@torch.no_grad()
def record_pairs(
    model: FrozenTeacherDistill, inputs: Tensor, data_samples: list | None
) -> tuple[dict[str, RecordedPair], dict[str, str]]:
    """Compare all that a distillation compares, on given images.

    Args:
        model (FrozenTeacherDistill): In eval mode.
        inputs (Tensor): Preprocessed images, shape (N, C, H, W).
        data_samples (list, optional): Of these images; annotations are not
            needed.

    Returns:
        tuple[dict, dict]: Recorded pairs by name, and for each pair that could
        not be recorded the reason, such as features that exist in training
        alone. Pairs with a connector that sees both sides have its name,
        others that of their loss.
    """
    distiller = model.distiller
    pairs: dict[str, RecordedPair] = {}
    reasons: dict[str, str] = {}
    try:
        _run(model, inputs, data_samples)
        paired = getattr(distiller, 'connector_forward_mappings', {})
        for name, records in paired.items():
            try:
                pairs[name] = _of_connector(distiller, name, records)
            except UserError as error:
                reasons[name] = _why(distiller, records, error)
        for name, records in distiller.loss_forward_mappings.items():
            if any(r.get('connector') in paired for r in records.values()):
                continue
            try:
                pairs[name] = _of_loss(distiller, records)
            except UserError as error:
                reasons[name] = _why(distiller, records, error)
    finally:
        for manager in (
            distiller.student_recorders,
            distiller.teacher_recorders,
        ):
            for recorder in manager.recorders.values():
                recorder.reset_data_buffer()
    for name, pair in list(pairs.items()):
        if len(pair.teacher) != len(inputs):
            shape = tuple(pair.teacher.shape)
            reasons[name] = f'{shape} is no feature of whole images'
            del pairs[name]
    return pairs, reasons


def _run(
    model: FrozenTeacherDistill, inputs: Tensor, data_samples: list | None
) -> None:
    """Fill the recorders, as the training step does but without losses."""
    distiller = model.distiller
    distiller.set_deliveries_override(False)
    model._run_teacher(inputs, data_samples)
    distiller.set_deliveries_override(True)
    # Some modules run in one of the two modes alone.
    for mode in ('tensor', 'predict'):
        with (
            distiller.student_recorders,
            distiller.deliveries,
            blame(f"the student's forward pass, mode='{mode}'"),
        ):
            model.student(inputs, data_samples, mode=mode)
        if all(
            recorder.data_buffer
            for recorder in distiller.student_recorders.recorders.values()
        ):
            break


def _why(
    distiller: Any, records: Mapping[str, Mapping], error: UserError
) -> str:
    """What a pair lacks, in the words of whoever looks at images."""
    rois = getattr(distiller, 'student_rois', None)
    recorders = distiller.teacher_recorders.recorders
    if rois is not None and any(
        rois.records(recorders[record['recorder']].source)
        for record in records.values()
        if not record['from_student']
    ):
        return 'it compares regions that a training step alone has'
    return str(error)


def _of_connector(
    distiller: Any, name: str, records: Mapping[str, Mapping]
) -> RecordedPair:
    connector = distiller.connectors[name]
    features = {}
    for key, record in records.items():
        try:
            features[key] = distiller.get_record(**record)
        except UserError as error:
            if key in ('s_feature', 't_feature'):
                raise
            raise UserError(
                f"connector '{name}' takes {key} from the annotations, which "
                'images alone do not have; for guidance by labels pass '
                f'--cfg-options model.distiller.connectors.{name}.guidance.'
                'target=teacher'
            ) from error
    core = getattr(connector, 'diffusion', None)
    if core is None:
        core = getattr(connector, 'mimicking', None)
    with blame(f"connector '{name}'", features):
        return record_pair(
            core,
            features['s_feature'],
            features['t_feature'],
            lambda: connector(**features),
        )


def _of_loss(
    distiller: Any, records: Mapping[str, Mapping[str, Any]]
) -> RecordedPair:
    """Both sides of a loss, each behind its connector if it has one."""
    sides = {
        record['from_student']: distiller.get_record(**record)
        for record in records.values()
    }
    student, teacher = sides.get(True), sides.get(False)
    if not (
        len(records) == 2
        and isinstance(student, Tensor)
        and isinstance(teacher, Tensor)
        and student.shape == teacher.shape
        and student.dim() in (2, 4)
    ):
        raise UserError(
            'it does not compare one map or vector of the student with one '
            'of the teacher'
        )
    if student.dim() == 2:
        student, teacher = student[..., None, None], teacher[..., None, None]
    return RecordedPair([Stage('student', student.float())], teacher.float())
