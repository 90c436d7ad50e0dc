# Copyright (c) mmdiffkd contributors.
"""Stop a forward pass once everything that was asked for is recorded."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from mmrazor.models.distillers import ConfigurableDistiller
from torch import nn

from mmdiffkd.utils.blame import blame

from ..partial_pass import SkippedCalls


class _EverythingRecorded(BaseException):
    """Leaves the forward pass; no ``except Exception`` may catch it."""


class EarlyExit:
    """Runs the teacher up to the last module that the distiller reads.

    The records needed are those that the distiller's mappings name, so a
    shared head that is called once a level is run for as many levels as are
    used. Records that wait for the student's RoIs are not this pass's; the
    pyramid is. Deliveries take values from anywhere in MMRazor's pass of the
    teacher, which is the whole of ``mode='loss'``; with them, it is run. So it
    is, up to the last record, where ``mode='tensor'`` leaves a recorder empty:
    MMSegmentation calls auxiliary heads for their losses only.

    In front of the last record, parts that no record depends on are left out,
    such as the classification of a head whose boxes are recorded; see
    :class:`~mmdiffkd.models.partial_pass.SkippedCalls`.

    Args:
        teacher (nn.Module): The teacher, with its recorders attached.
        distiller (ConfigurableDistiller): Names the records.
        skip (bool): Whether parts in front of the last record are left out.
            Defaults to True.
    """

    def __init__(
        self,
        teacher: nn.Module,
        distiller: ConfigurableDistiller,
        skip: bool = True,
    ) -> None:
        self._recorders = distiller.teacher_recorders.recorders
        self._records = [*_records_read(distiller)]
        self.needed = _records_needed(self._records)
        #: Whether the teacher has anything to give at all.
        self.necessary = bool(self.needed or distiller.deliveries.deliveries)
        self._possible = not distiller.deliveries.deliveries
        self._mode = 'tensor' if self._possible else 'loss'
        self._armed = False
        self._first = True
        self.skipped: SkippedCalls | None = None
        if skip and self._possible:
            self.skipped = SkippedCalls(
                teacher,
                partial(self._run, teacher),  # which can be pickled
                self._reset,
                self._values,
            )
        if self._possible:
            sources = {self._recorders[name].source for name in self.needed}
            for name, module in teacher.named_modules():
                if name in sources:
                    # Behind the recorder's own hook, which came first.
                    module.register_forward_hook(self._check)

    @property
    def settled(self) -> bool:
        """Whether all later passes will be made in the same manner."""
        if self.skipped is not None:
            return self.skipped.plan is not None
        return not self._first

    def recorded(self) -> set[str]:
        """Names of the modules with recorders."""
        return {recorder.source for recorder in self._recorders.values()}

    def left_out(self) -> set[str]:
        """Names of the modules that passes leave out."""
        plan = None if self.skipped is None else self.skipped.plan
        return set(plan or ())

    def run(self, teacher: nn.Module, *args: Any) -> None:
        """Call the teacher within the recorders' context.

        Raises:
            UserError: If a host's teacher cannot take its first batch, or if
                a recorder stays empty without losses and the teacher cannot
                compute its losses.
        """
        if self.skipped is None:
            self._run(teacher, *args)
        else:
            self.skipped.run(*args)

    def _run(self, teacher: nn.Module, *args: Any) -> None:
        self._armed = self._possible
        try:
            with blame("the teacher's forward pass", first=self._first):
                teacher(*args, mode=self._mode)
            empty = [
                name
                for name in self.needed
                if not self._recorders[name].data_buffer
            ]
            if empty and self._mode == 'tensor':
                self._run_with_losses(teacher, empty, *args)
        except _EverythingRecorded:
            pass
        finally:
            self._armed = False
        self._first = False

    def _run_with_losses(
        self, teacher: nn.Module, empty: list[str], *args: Any
    ) -> None:
        self._reset()
        sources = [self._recorders[name].source for name in empty]
        with blame(
            f"the teacher's forward pass does not run {sources}, which "
            f'teacher_recorders {empty} read, and its pass with losses',
            first=self._first,
        ):
            try:
                teacher(*args, mode='loss')
            except _EverythingRecorded:
                self._mode = 'loss'
                raise
        self._mode = 'loss'

    def _reset(self) -> Callable[[], None]:
        """Empty the recorders; returns what fills them again."""
        recorders = self._recorders.values()
        records = [recorder.data_buffer for recorder in recorders]
        for recorder in recorders:
            recorder.reset_data_buffer()

        def bring_back() -> None:
            for recorder, record in zip(recorders, records):
                recorder.data_buffer[:] = record

        return bring_back

    def _values(self) -> list[Any]:
        """What will be read of the records."""
        return [
            _element(self._recorders[name].data_buffer, index, element)
            for name, index, element in self._records
        ]

    def _check(self, *_: Any) -> None:
        if self._armed and all(
            len(self._recorders[name].data_buffer) >= count
            for name, count in self.needed.items()
        ):
            raise _EverythingRecorded


Record = tuple[str, int, int | None]
"""A recorder, ``record_idx`` and ``data_idx``."""


def _records_read(distiller: ConfigurableDistiller) -> Iterator[Record]:
    """The teacher's records that this pass has to give."""
    paired = getattr(distiller, 'connector_forward_mappings', {})
    rois = getattr(distiller, 'student_rois', None)
    recorders = distiller.teacher_recorders.recorders
    if rois is not None:
        yield rois.PYRAMID, 0, None
    for records in chain(
        distiller.loss_forward_mappings.values(), paired.values()
    ):
        for record in records.values():
            name = record['recorder']
            # The output of a paired connector is not a record.
            if record['from_student'] or record.get('connector') in paired:
                continue
            if rois is None or not rois.records(recorders[name].source):
                yield name, record.get('record_idx', 0), record.get('data_idx')


def _records_needed(records: list[Record]) -> dict[str, float]:
    """How often each teacher recorder must fire; ``inf`` for to the end."""
    needed: dict[str, float] = {}
    for name, index, _ in records:
        count = index + 1 if index >= 0 else float('inf')
        needed[name] = max(count, needed.get(name, 0))
    return needed


def _element(records: list[Any], index: int, element: int | None) -> Any:
    try:
        record = records[index]
        return record if element is None else record[element]
    except (IndexError, KeyError, TypeError):
        return _NOTHING


_NOTHING = object()
"""Of a record that is not there, which the distiller reports."""
