# Copyright (c) mmdiffkd contributors.
"""Ask the teacher about the student's regions of interest."""

from collections.abc import Sequence
from contextlib import ExitStack
from inspect import signature
from typing import Any

from mmrazor.models.task_modules import RecorderManager
from torch import nn

from mmdiffkd.utils import UserError
from mmdiffkd.utils.pyramid import base_for, level_numbers

HEAD = 'roi_head'

FURTHER = dict(semantic_feat='semantic_head', glbctx_feat='glbctx_head')
"""Features of the whole image that a box head may be given, and by whom."""


class StudentRoIs:
    """Runs the teacher's RoI head on the student's RoIs of an iteration.

    Two two-stage detectors propose and sample different boxes, so that the
    outputs of their heads have nothing to do with one another. Here the
    teacher's own pyramid is kept; once the student has sampled its RoIs, the
    teacher's RoI extractor, shared head and box head are run on them, and the
    teacher recorders below ``roi_head`` record that pass. Of a cascade, on
    either side, it is the first stage. The teacher's RPN is never run.

    The student's RoIs and the teacher's pyramid are held by two recorders of
    the distiller, which are released with the others.

    Example:
        >>> distiller = dict(
        ...     type='mmdiffkd.DiffKDDistiller',
        ...     student_rois=True,
        ...     student_recorders=dict(
        ...         cls=dict(
        ...             type='ModuleOutputs',
        ...             source='roi_head.bbox_head.fc_cls')),
        ...     teacher_recorders=dict(
        ...         cls=dict(
        ...             type='ModuleOutputs',
        ...             source='roi_head.bbox_head.fc_cls')),
        ...     ...)
    """

    ROIS = '_student_rois'
    PYRAMID = '_teacher_pyramid'

    def __init__(self) -> None:
        #: Whether the teacher has been asked in this iteration.
        self.done = False
        self._student_coder: Any = None
        self._levels: list[int] = []

    def attach_student(
        self, manager: RecorderManager, student: nn.Module
    ) -> None:
        """Add the recorder of the student's RoIs.

        Raises:
            UserError: If the student is no two-stage detector.
        """
        self._levels = level_numbers(student)
        head, stage = _roi_head(student, 'student', self._levels)
        source = '.'.join([HEAD, 'bbox_roi_extractor', *map(str, stage)])
        self._add(manager, self.ROIS, 'ModuleInputs', source)
        self._resolve(manager, stage)
        self._student_coder = _coder(head, stage)

    def attach_teacher(
        self, manager: RecorderManager, teacher: nn.Module
    ) -> None:
        """Add the recorder of the teacher's pyramid.

        Raises:
            UserError: If the teacher is no two-stage detector, its head
                needs more than features and RoIs, or its boxes are encoded
                in another way than the student's and are compared.
        """
        head, stage = _roi_head(teacher, 'teacher', self._levels)
        try:
            signature(head._bbox_forward).bind(*stage, None, None)
        except TypeError as error:
            raise UserError(
                f'student_rois: the RoI head {type(head).__name__} of the '
                'teacher needs more than features and RoIs'
                f' ({error}); it cannot be asked about other RoIs'
            ) from error
        # What `extract_feat` of a two-stage detector returns.
        source = 'neck' if hasattr(teacher, 'neck') else 'backbone'
        self._add(manager, self.PYRAMID, 'ModuleOutputs', source)
        self._resolve(manager, stage)
        coder = _coder(head, stage)
        compared = any(
            recorder.source.endswith('.fc_reg')
            for recorder in manager.recorders.values()
        )
        if compared and coder != self._student_coder:
            raise UserError(
                'student_rois: fc_reg of teacher and student cannot be '
                f'compared: the teacher encodes boxes by {coder}, the '
                f'student by {self._student_coder}; give the student the '
                "teacher's roi_head.bbox_head.bbox_coder, or drop the loss"
            )

    def run(
        self,
        teacher: nn.Module,
        student_recorders: RecorderManager,
        teacher_recorders: RecorderManager,
    ) -> None:
        """Run the teacher's head; call it under ``no_grad``.

        Args:
            teacher (nn.Module): Has been run on the batch, up to its pyramid.
            student_recorders (RecorderManager): Hold the RoIs, (n, 5).
            teacher_recorders (RecorderManager): Hold the pyramid, and record
                what the head computes.
        """
        # A mask head may share the extractor; the box head comes first.
        inputs = student_recorders.get_recorder(self.ROIS).data_buffer[0]
        pyramid = teacher_recorders.get_recorder(self.PYRAMID).data_buffer[0]
        head, stage = _roi_head(teacher, 'teacher')
        with ExitStack() as stack:
            for recorder in teacher_recorders.recorders.values():
                if self.records(recorder.source):
                    stack.enter_context(recorder)
            head._bbox_forward(
                *stage,
                pyramid,
                inputs[1].detach(),
                **_further_features(head, pyramid),
            )
        self.done = True

    @staticmethod
    def records(source: str) -> bool:
        """Whether a teacher recorder waits for the student's RoIs."""
        return source.startswith(f'{HEAD}.')

    @staticmethod
    def _add(
        manager: RecorderManager, name: str, kind: str, source: str
    ) -> None:
        cfg = dict(type=f'mmrazor.{kind}', source=source)
        manager.recorders.update(RecorderManager({name: cfg}).recorders)

    @staticmethod
    def _resolve(manager: RecorderManager, stage: tuple[int, ...]) -> None:
        """Let ``roi_head.bbox_head.X`` mean a cascade's first stage."""
        box_head = f'{HEAD}.bbox_head.'
        for recorder in manager.recorders.values():
            name = recorder.source[len(box_head) :]
            if (
                stage
                and recorder.source.startswith(box_head)
                and not name[:1].isdigit()
            ):
                recorder._source = f'{box_head}{stage[0]}.{name}'


def _further_features(head: Any, pyramid: Any) -> dict[str, Any]:
    """What some heads add to a RoI's feature, by its name.

    Hybrid task cascades have a ``semantic_head``, SCNet a ``glbctx_head`` as
    well; each gives a prediction and a feature of the whole image.
    """
    takes = signature(head._bbox_forward).parameters
    parts = {
        name: getattr(head, part, None)
        for name, part in FURTHER.items()
        if name in takes
    }
    return {
        name: part(pyramid)[1]
        for name, part in parts.items()
        if part is not None
    }


def _roi_head(
    model: nn.Module, side: str, levels: Sequence[int] = ()
) -> tuple[Any, tuple[int, ...]]:
    """The RoI head, and the stage that is meant: (0, ), or () without.

    ``levels`` are those of the student, for the advice of an error.
    """
    head: Any = getattr(model, HEAD, None)
    own = level_numbers(model)
    for name in ('bbox_head', 'bbox_roi_extractor', '_bbox_forward'):
        if not hasattr(head, name):
            raise UserError(
                f'student_rois=True needs two two-stage detectors of '
                f'MMDetection, but the {side} {type(model).__name__} has no '
                f'{HEAD}.{name}; take a base that asks no RoI head '
                f'(student_rois=False): {base_for(levels or own, own)}'
            )
    return head, (0,) if isinstance(head.bbox_head, nn.ModuleList) else ()


def _coder(head: Any, stage: tuple[int, ...]) -> str:
    """How the boxes are encoded, in comparable words."""
    box_head = head.bbox_head[stage[0]] if stage else head.bbox_head
    coder = getattr(box_head, 'bbox_coder', None)
    numbers = [
        f'{name}={[float(v) for v in getattr(coder, name)]}'
        for name in ('means', 'stds')
        if hasattr(coder, name)
    ]
    return f'{type(coder).__name__}({", ".join(numbers)})'
