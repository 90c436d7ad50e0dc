# Copyright (c) mmdiffkd contributors.
"""A distiller with connectors that see both sides."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from mmengine.logging import print_log
from mmrazor.models.distillers import ConfigurableDistiller
from mmrazor.models.task_modules import RecorderManager
from torch import Tensor, nn

from mmdiffkd.diffusion import PairedOutput, TeacherDiffusion
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.blame import blame, describe

from ..connectors import PairedConnector
from ..connectors.widths import check_widths
from .config_checks import PARTS, check_structure
from .found_record import find_record
from .mapping_checks import (
    check_equal_shapes,
    check_mappings,
    check_read,
)
from .overwritten import forget_versions, watch_records
from .pairs import expand_distiller, expand_pairs, summary
from .student_rois import StudentRoIs


@MODELS.register_module()
class DiffKDDistiller(ConfigurableDistiller):
    """``ConfigurableDistiller`` with paired connectors.

    Each connector named in ``connector_forward_mappings`` is run exactly
    once an iteration, on one student and one teacher record. In
    ``loss_forward_mappings``, ``connector=NAME`` together with
    ``from_student`` selects a side of its output. The connector's own losses
    are returned as ``NAME.loss_diff`` and so on, its statistics as
    ``NAME.gamma_mean`` and so on. Everything else is MMRazor's.

    Args:
        connector_forward_mappings (dict, optional): For each paired
            connector, where the arguments of its ``forward`` are recorded,
            in the grammar of ``loss_forward_mappings``. Defaults to None.
        student_rois (bool): Whether teacher recorders below ``roi_head``
            record the teacher's head on the student's RoIs, see
            :class:`~mmdiffkd.models.distillers.student_rois.StudentRoIs`.
            It needs ``FrozenTeacherDistill``. Defaults to False.
        pairs (dict, optional): What to compare, in the short form of
            :func:`~mmdiffkd.models.distillers.pairs.expand_pairs`. The
            arguments below are merged over what it stands for. Defaults to
            None.
        **kwargs: Arguments of MMRazor's ``ConfigurableDistiller``:
            ``student_recorders``, ``teacher_recorders``,
            ``distill_deliveries``, ``connectors``, ``distill_losses``,
            ``loss_forward_mappings``.

    Raises:
        UserError: If a mapping names something that does not exist, an
            argument is unknown or missing, a connector is never used (its
            parameters would stop distributed training), or the name of a
            paired connector contains ``loss`` (its statistics would be added
            to the training objective).

    Example:
        >>> distiller = dict(
        ...     _scope_='mmrazor',
        ...     type='mmdiffkd.DiffKDDistiller',
        ...     pairs=dict(
        ...         kd=dict(
        ...             source='neck',
        ...             levels=['p3', 'p4', 'p5'],
        ...             connector=dict(
        ...                 type='mmdiffkd.DiffKDConnector',
        ...                 student_channels=256,
        ...                 teacher_channels=256),
        ...             loss=dict(
        ...                 type='L2Loss', normalize=False,
        ...                 div_element=True))))
    """

    def __init__(
        self,
        *args: Any,
        connector_forward_mappings: Mapping | None = None,
        student_rois: bool = False,
        pairs: Mapping | None = None,
        **kwargs: Any,
    ) -> None:
        parts = expand_distiller(
            dict(
                zip(PARTS, args),
                connector_forward_mappings=connector_forward_mappings,
                pairs=pairs,
                **kwargs,
            )
        )
        check_structure(parts)
        check_widths(parts.get('connectors'))
        mappings = parts.pop('connector_forward_mappings')
        super().__init__(**parts)
        self.connector_forward_mappings = mappings or {}
        check_mappings(self)
        for name, connector in self.connectors.items():
            if isinstance(connector, PairedConnector):
                with blame(f"connector '{name}'"):
                    connector.named(name)
        self._pairs = pairs or {}
        if pairs:
            parts['connector_forward_mappings'] = mappings
            print_log(f'The distiller:\n{summary(parts)}', 'current')
        self.student_rois = StudentRoIs() if student_rois else None
        # Outputs of the paired connectors of the current iteration.
        self._paired: dict[str, PairedOutput] = {}
        self._first_iteration = True

    def build_connectors(
        self, connectors: Mapping[str, Any] | None = None
    ) -> nn.ModuleDict:
        """Build them as MMRazor does; a mistake in one is told by its name.

        Args:
            connectors (Mapping, optional): Configs by name.

        Returns:
            nn.ModuleDict: By the same names.
        """
        built = nn.ModuleDict()
        for name, config in (connectors or {}).items():
            try:
                built.update(super().build_connectors({name: config}))
            except UserError as error:
                raise UserError(f"connector '{name}': {error}") from error
        return built

    def prepare_from_student(self, model: nn.Module) -> None:
        """Attach the student recorders; see :meth:`_attach`."""
        if self.student_rois is not None:
            self.student_rois.attach_student(self.student_recorders, model)
        self._attach(self.student_recorders, model, 'student')
        for loss in self.distill_losses.values():
            prepare = getattr(loss, 'prepare_from_student', None)
            if prepare is not None:
                prepare(model)

    def prepare_from_teacher(self, model: nn.Module) -> None:
        """Attach the teacher recorders, see :meth:`_attach`, and show the
        teacher to the paired connectors.

        Raises:
            UserError: If a connector misses something in the teacher.
        """
        if self.student_rois is not None:
            self.student_rois.attach_teacher(self.teacher_recorders, model)
        self._attach(self.teacher_recorders, model, 'teacher')
        for name, connector in self.connectors.items():
            if isinstance(connector, PairedConnector):
                with blame(f"connector '{name}'"):
                    connector.prepare_from_teacher(model)

    def run_on_student_rois(self, teacher: nn.Module) -> None:
        """Run the teacher's RoI head on the student's RoIs, if asked to.

        Args:
            teacher (nn.Module): Has been run on this batch, as has the
                student.
        """
        if self.student_rois is not None:
            self.student_rois.run(
                teacher, self.student_recorders, self.teacher_recorders
            )

    def get_record(
        self,
        recorder: str,
        from_student: bool,
        record_idx: int = 0,
        data_idx: int | None = None,
        connector: str | None = None,
        connector_idx: int | None = None,
    ) -> Any:
        """As MMRazor's; a paired connector's output has two sides.

        Raises:
            UserError: If nothing was recorded under these indices, or the
                model has overwritten it since.
        """
        if (
            connector is not None
            and connector in self.connector_forward_mappings
        ):
            paired = self._paired[connector]
            side = paired.student if from_student else paired.teacher
            if connector_idx is not None and not (
                -len(side) <= connector_idx < len(side)
            ):
                raise UserError(
                    f"connector_idx={connector_idx} of connector '{connector}'"
                    f' is beyond its output, {describe(side)}'
                )
            return side if connector_idx is None else side[connector_idx]
        side_name = 'student' if from_student else 'teacher'
        manager = getattr(self, f'{side_name}_recorders')
        feature = find_record(
            manager.get_recorder(recorder),
            f"the {side_name} recorder '{recorder}'",
            record_idx,
            data_idx,
            partial(self._pairs_with, side_name, recorder),
        )
        with self._told(
            f"connector '{connector}'", {f'the {side_name} feature': feature}
        ):
            return super().get_record(
                recorder,
                from_student,
                record_idx,
                data_idx,
                connector,
                connector_idx,
            )

    def compute_distill_losses(self) -> dict[str, Tensor]:
        """Run the paired connectors, then all losses; release the records.

        Returns:
            dict[str, Tensor]: Losses by their names, then the losses and
            statistics of the paired connectors as ``CONNECTOR.NAME``.

        Raises:
            UserError: If no loss reads a connector that needs it.
        """
        try:
            if self.student_rois is not None and not self.student_rois.done:
                raise UserError(
                    'student_rois=True needs the algorithm mmdiffkd.'
                    'FrozenTeacherDistill with teacher_trainable=False: no '
                    "other runs the teacher on the student's RoIs"
                )
            if self._first_iteration:
                check_read(self)
            for name, records in self.connector_forward_mappings.items():
                self._paired[name] = self._run_connector(name, records)
            losses = {
                name: self._run_loss(name, records)
                for name, records in self.loss_forward_mappings.items()
            }
            for name, paired in self._paired.items():
                for key, value in {**paired.losses, **paired.stats}.items():
                    losses[f'{name}.{key}'] = value
            if self._first_iteration:
                self._explain(losses)
            self._first_iteration = False
        finally:
            self.release()
        return losses

    def compute_teacher_losses(self) -> dict[str, Tensor]:
        """Losses that need the teacher's records alone; release the records.

        Returns:
            dict[str, Tensor]: For each connector with a diffusion model what
            :meth:`~mmdiffkd.diffusion.TeacherDiffusion.teacher_losses`
            gives, as ``CONNECTOR.NAME``.
        """
        losses = {}
        try:
            for name, diffusion in self.diffusion_models().items():
                records = self.connector_forward_mappings[name]
                feature = self.get_record(**records['t_feature'])
                with self._told(f"connector '{name}'", {'t_feature': feature}):
                    for key, value in diffusion.teacher_losses(
                        feature
                    ).items():
                        losses[f'{name}.{key}'] = value
            self._first_iteration = False
        finally:
            self.release()
        return losses

    def diffusion_models(self) -> dict[str, TeacherDiffusion]:
        """Those of the connectors that have one, by connector."""
        found = {
            name: getattr(self.connectors[name], 'diffusion', None)
            for name in self.connector_forward_mappings
        }
        return {
            name: diffusion
            for name, diffusion in found.items()
            if isinstance(diffusion, TeacherDiffusion)
        }

    def release(self) -> None:
        """Let go of what was recorded in this iteration."""
        # Features must not outlive the step, neither in memory nor in
        # copies of the model.
        self._paired = {}
        if self.student_rois is not None:
            self.student_rois.done = False
        for manager in (self.student_recorders, self.teacher_recorders):
            for recorder in manager.recorders.values():
                forget_versions(recorder.data_buffer)
                recorder.reset_data_buffer()

    def _explain(self, names: Iterable[str]) -> None:
        """Say what the numbers of a diffusion model mean."""
        if any(name.endswith('.loss_diff') for name in names):
            print_log(
                'In this log, loss_diff = 1.0 means that the diffusion model '
                'predicts nothing, below 1 that it has learned the teacher, '
                'above 1 that it adds noise (times diffusion_loss_weight). '
                'gamma_mean is the share of the student feature that noise '
                'matching keeps; feature_scale is the size (root mean square) '
                "of the teacher's feature.",
                'current',
            )

    def _run_connector(self, name: str, records: Mapping) -> PairedOutput:
        features = {key: self.get_record(**r) for key, r in records.items()}
        where = f"connector '{name}'"
        for key, feature in features.items():
            if not isinstance(feature, Tensor):
                raise UserError(
                    f'{where}: {key} is no tensor but {describe(feature)}; '
                    'choose one of its elements by data_idx'
                )
        with self._told(where, features):
            output = self.connectors[name](**features)
        if not isinstance(output, PairedOutput):
            raise UserError(
                f"connector '{name}' is named in connector_forward_mappings, "
                f'so {type(self.connectors[name]).__name__} must return a '
                f'PairedOutput, not a {type(output).__name__}'
            )
        return output

    def _run_loss(self, name: str, records: Mapping) -> Any:
        inputs = {key: self.get_record(**r) for key, r in records.items()}
        loss = self.distill_losses[name]
        if any(k.__module__.startswith('mmrazor.') for k in type(loss).mro()):
            tensors = [v for v in inputs.values() if isinstance(v, Tensor)]
            if any(not v.numel() for v in tensors):
                # The mean of nothing is NaN.
                return sum(v.sum() * 0.0 for v in tensors)
            # They take views, which maps in channels_last have not.
            inputs = {
                key: v.contiguous() if isinstance(v, Tensor) else v
                for key, v in inputs.items()
            }
        with self._told(f"distillation loss '{name}'", inputs):
            check_equal_shapes(loss, inputs)
            return loss(**inputs)

    def _told(self, where: str, inputs: Mapping) -> blame:
        """Name the part that failed and what it was given; see `blame`."""
        return blame(where, inputs, first=self._first_iteration)

    def _attach(
        self, manager: RecorderManager, model: nn.Module, side: str
    ) -> None:
        """Initialise recorders.

        Raises:
            UserError: If a source is not in the model; the message names the
                closest modules.
        """
        modules = dict(model.named_modules())
        for name, recorder in manager.recorders.items():
            kind = type(recorder).__name__
            if kind.startswith('Module') and recorder.source not in modules:
                where = ' of '.join(
                    [f'{side}_recorders.{name}', *self._pairs_with(side, name)]
                )
                raise UserError(
                    f"{where}: source '{recorder.source}' is not a module of "
                    f'the {side} {type(model).__name__}'
                    f'{closest(recorder.source, modules)}'
                )
        manager.initialize(model)
        watch_records(manager, model)

    def _pairs_with(self, side: str, recorder: str) -> list[str]:
        """Config key of the first pair that has a recorder, if one has."""
        return [
            f'pairs.{name}'
            for name, pair in self._pairs.items()
            if recorder in expand_pairs({name: pair})[f'{side}_recorders']
        ][:1]

    def _check_loss_forward_mappings(self, *_: Any) -> None:
        """Left to :func:`check_mappings`, which says more."""
