# Copyright (c) mmdiffkd contributors.
"""Check the structure of a distiller's config before it is built."""

from collections.abc import Mapping
from typing import Any

from mmrazor.registry import MODELS, TASK_UTILS
from torch import nn

from mmdiffkd.utils import ConfigKindError, UserError, closest
from mmdiffkd.utils.kinds import check_kinds

RECORDERS = (
    'FunctionInputs',
    'FunctionOutputs',
    'MethodInputs',
    'MethodOutputs',
    'ModuleInputs',
    'ModuleOutputs',
    'Parameter',
)
PARTS = (
    'student_recorders',
    'teacher_recorders',
    'distill_deliveries',
    'connectors',
    'distill_losses',
    'loss_forward_mappings',
    'connector_forward_mappings',
)


def check_distiller(cfg: Any) -> None:
    """Check what the algorithm needs to build a distiller.

    Args:
        cfg (Any): ``model.distiller``.

    Raises:
        UserError: If it is no config of an object.
    """
    if not isinstance(cfg, Mapping):
        raise UserError(f'model.distiller must be a dict, got {cfg!r}')
    if not isinstance(cfg.get('type'), (str, type)) or not cfg['type']:
        raise UserError(
            "model.distiller needs a type, such as 'mmdiffkd."
            f"DiffKDDistiller', got {cfg.get('type')!r}"
        )
    scope = cfg.get('_scope_')
    if scope is not None and not (isinstance(scope, str) and scope):
        raise UserError(
            f"model.distiller._scope_ must be 'mmrazor', got {scope!r}"
        )


def check_structure(parts: Mapping[str, Any]) -> None:
    """Check the arguments of a distiller.

    Args:
        parts (Mapping): Those of :data:`PARTS` that are given.

    Raises:
        UserError: If one is no dict of named configs, or a value in one of a
            loss or a connector is of the wrong kind.
    """
    for part in PARTS:
        entries = parts.get(part)
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            raise ConfigKindError(
                f'distiller.{part} should be a dict, got {entries!r}'
            )
        for name, entry in entries.items():
            where = f'{part}.{name}'
            if not isinstance(name, str):
                raise UserError(f'{where}: the name must be a string')
            if part.endswith('_recorders'):
                _check_recorder(where, entry)
            elif part.endswith('_mappings'):
                if not isinstance(entry, Mapping):
                    raise ConfigKindError(
                        f'{where}: Each item of {part} should be a dict, got '
                        f'{entry!r}'
                    )
            elif part in ('connectors', 'distill_losses'):
                _check_name(where, name)
                several = part == 'connectors' and isinstance(entry, list)
                for item in entry if several else [entry]:
                    check_object(where, item)
            else:
                _check_type(where, entry)


def _check_type(where: str, entry: Any) -> None:
    if not isinstance(entry, Mapping):
        raise UserError(f'{where} must be a dict with a type, got {entry!r}')
    if not isinstance(entry.get('type'), (str, type)) or not entry['type']:
        raise UserError(f'{where} needs a type, got {entry.get("type")!r}')
    scope = entry.get('_scope_')
    if scope is not None and not (isinstance(scope, str) and scope):
        raise UserError(f'{where}._scope_ must be a string, got {scope!r}')


def _check_name(where: str, name: str) -> None:
    """Names of modules; PyTorch refuses some."""
    if (
        not name
        or '.' in name
        or hasattr(nn.ModuleDict, name)
        or (name == 'training')
    ):
        raise UserError(
            f'{where}: {name!r} cannot be the name of a module; choose another'
        )


def _check_recorder(where: str, entry: Any) -> None:
    _check_type(where, entry)
    kind = str(entry['type']).split('.')[-1]
    if (
        kind not in RECORDERS
        and TASK_UTILS.get(f'{entry["type"]}Recorder') is None
    ):
        raise UserError(
            f'{where}.type {kind!r} is not a recorder'
            f'{closest(kind, RECORDERS)}'
        )
    source = entry.get('source')
    if not isinstance(source, str) or not source:
        raise UserError(
            f'{where} needs a source, the name of what it '
            f"records, such as 'neck', got {source!r}"
        )


def check_object(where: str, entry: Any) -> None:
    _check_type(where, entry)
    kind = entry['type']
    if isinstance(kind, str):
        kind = MODELS.get(kind)  # None: told by the builder, with hints
    if isinstance(kind, type):
        arguments = {k: v for k, v in entry.items() if k != 'type'}
        check_kinds(where, kind, arguments)
        if 'init_cfg' in arguments and not isinstance(
            arguments['init_cfg'], (Mapping, list, type(None))
        ):
            raise UserError(
                f'{where}.init_cfg must be a dict, got '
                f'{arguments["init_cfg"]!r}'
            )
