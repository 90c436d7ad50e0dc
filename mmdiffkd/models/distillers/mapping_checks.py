# Copyright (c) mmdiffkd contributors.
"""Checks of a distiller's mappings that MMRazor does not make."""

from collections.abc import Iterable, Mapping
from inspect import Parameter, signature
from typing import Any

from mmrazor.models.losses import L1Loss, L2Loss
from torch import Tensor, nn

from mmdiffkd.utils import ConfigKindError, ConfigNameError, UserError, closest

Mappings = Mapping[str, Mapping[str, Mapping[str, Any]]]


def check_mappings(distiller: Any) -> None:
    """Check that the mappings of a distiller fit its parts.

    Args:
        distiller (DiffKDDistiller): With recorders, connectors and losses.

    Raises:
        UserError: If a mapping names something that does not exist, an
            argument is unknown or missing, or a part is never used.
    """
    connectors, losses = distiller.connectors, distiller.distill_losses
    paired = distiller.connector_forward_mappings
    compared = distiller.loss_forward_mappings
    recorders = (
        distiller.student_recorders.recorders,
        distiller.teacher_recorders.recorders,
    )
    for name, records in paired.items():
        where = f'connector_forward_mappings.{name}'
        if name not in connectors:
            raise ConfigNameError(
                f'{where}: there is no such connector in '
                f'{sorted(connectors)}{closest(name, connectors)}'
            )
        if 'loss' in name:
            raise UserError(
                f"connector '{name}': MMEngine adds everything whose name "
                "contains 'loss' to the objective, and this connector's "
                'statistics carry its name; rename it'
            )
        check_arguments(where, connectors[name], records)
        for key, record in records.items():
            check_record(f'{where}.{key}', record, *recorders, connectors)
            if record.get('connector') in paired:
                raise UserError(
                    f'{where}.{key} goes through the paired connector '
                    f"'{record['connector']}'; paired connectors cannot "
                    'be chained'
                )
    for name, records in compared.items():
        where = f'loss_forward_mappings.{name}'
        if name not in losses:
            raise ConfigNameError(
                f'{where}: "{name}" is not in distill_losses '
                f'{sorted(losses)}{closest(name, losses)}'
            )
        check_arguments(where, losses[name], records)
        for key, record in records.items():
            check_record(f'{where}.{key}', record, *recorders, connectors)
    used = {*used_connectors(paired, compared), *paired}
    _check_all_used('connectors', connectors, used)
    if compared:
        _check_all_used('distill_losses', losses, compared)


def check_read(distiller: Any) -> None:
    """Check that a loss reads each connector that needs it.

    A diffusion model that is trained before the student needs none, so this
    is asked when a student is.

    Args:
        distiller (DiffKDDistiller): The distiller.

    Raises:
        UserError: If no loss does.
    """
    read = used_connectors(distiller.loss_forward_mappings)
    idle = sorted(
        name
        for name in distiller.connector_forward_mappings
        if name not in read and distiller.connectors[name].needs_loss
    )
    if idle:
        raise UserError(
            f'connectors {idle} are read by no loss: they would teach the '
            'student nothing, and stop distributed training. Give their pair '
            'a loss, or name them in loss_forward_mappings'
        )


def _check_all_used(kind: str, names: Iterable, used: Iterable) -> None:
    unused = sorted(set(names) - set(used))
    if unused:
        raise UserError(
            f'{kind} {unused} are never used; remove them, '
            'or name them in a mapping'
        )


def check_arguments(
    where: str, module: nn.Module, arguments: Mapping[str, Any]
) -> None:
    """Compare a mapping's keys with the signature of a module's forward.

    Args:
        where (str): The config entry, for the message.
        module (nn.Module): A loss or a connector.
        arguments (dict): Keyword arguments that the mapping fills.

    Raises:
        UserError: If an argument is unknown, or a required one is missing.
    """
    if not isinstance(arguments, Mapping):
        raise ConfigKindError(f'{where} must be a dict, got {arguments!r}')
    parameters = signature(module.forward).parameters.values()
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    required = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    unknown = [a for a in arguments if a not in known]
    missing = [a for a in required if a not in arguments]
    if unknown or missing:
        raise ConfigNameError(
            f'{where} fills {sorted(arguments)}, but {type(module).__name__}'
            f'.forward takes {known}: unknown {unknown}, missing {missing}'
        )


def check_equal_shapes(loss: nn.Module, inputs: Mapping[str, Any]) -> None:
    """Refuse what an elementwise loss of MMRazor's would broadcast.

    A map of one channel, or of one pixel, would be compared with all of the
    other's, and the loss would look like any other.

    Args:
        loss (nn.Module): A loss; others than L1 and L2 are left alone.
        inputs (dict): What it is given.

    Raises:
        UserError: If two tensors differ in shape.
    """
    # With `normalize`, features are flattened: (N, C) fits (N, C, 1, 1).
    if not isinstance(loss, (L1Loss, L2Loss)) or getattr(
        loss, 'normalize', False
    ):
        return
    shapes = {
        k: tuple(v.shape) for k, v in inputs.items() if isinstance(v, Tensor)
    }
    if len(set(shapes.values())) > 1:
        given = ', '.join(f'{k} {shape}' for k, shape in shapes.items())
        raise UserError(
            f'{type(loss).__name__} compares element by element, and is given '
            f'{given}; a connector must give one side the channels, height '
            'and width of the other'
        )


def check_record(
    where: str,
    record: Any,
    student_recorders: dict[str, Any],
    teacher_recorders: dict[str, Any],
    connectors: Mapping[str, Any],
) -> None:
    """Check that one entry of a mapping names things that exist.

    Raises:
        UserError: If it does not.
    """
    if not isinstance(record, Mapping):
        raise ConfigKindError(
            f'{where} must be a dict with recorder and '
            f'from_student, got {record!r}'
        )
    allowed = (
        'recorder',
        'from_student',
        'record_idx',
        'data_idx',
        'connector',
        'connector_idx',
    )
    unknown = [key for key in record if key not in allowed]
    if unknown:
        raise UserError(
            f"{where} has the unknown key '{unknown[0]}'"
            f'{closest(unknown[0], allowed)}'
        )
    for key in ('recorder', 'from_student'):
        if key not in record:
            raise ConfigNameError(
                f'{where} should have "{key}", got {dict(record)!r}'
            )
    if not isinstance(record['from_student'], bool):
        raise ConfigKindError(
            f'{where} needs from_student=True or False, got '
            f'{record["from_student"]!r}: from_student should be a bool'
        )
    for key in ('recorder', 'connector'):
        value = record.get(key, '')
        if not isinstance(value, str) and not (
            key == 'connector' and value is None
        ):
            raise UserError(f'{where}.{key} must be a name, got {value!r}')
    for key in ('record_idx', 'data_idx', 'connector_idx'):
        value = record.get(key, 0)
        if isinstance(value, bool) or (
            not isinstance(value, int)
            and not (value is None and key != 'record_idx')
        ):
            raise UserError(f'{where}.{key} must be an integer, got {value!r}')
    side = 'student' if record['from_student'] else 'teacher'
    names = student_recorders if record['from_student'] else teacher_recorders
    if record['recorder'] not in names:
        raise ConfigNameError(
            f"{where} names the recorder '{record['recorder']}', which is not "
            f'in {side}_recorders {sorted(names)}'
            f'{closest(record["recorder"], names)}'
        )
    connector = record.get('connector')
    if connector is not None and connector not in connectors:
        raise ConfigNameError(
            f"{where} names the connector '{connector}', which is not in "
            f'connectors {sorted(connectors)}{closest(connector, connectors)}'
        )


def used_connectors(*mappings: Mappings) -> list[str]:
    """Names of the connectors that any entry of the mappings refers to."""
    return [
        record['connector']
        for mapping in mappings
        for records in mapping.values()
        for record in records.values()
        if record.get('connector')
    ]
