# Copyright (c) mmdiffkd contributors.
"""Which arguments of a connector are widths of features."""

from collections.abc import Mapping
from inspect import Parameter, isclass, signature
from typing import Any

from mmrazor.registry import MODELS

from mmdiffkd.utils import UserError

from .paired_connector import PairedConnector

WIDTHS = ('student_channels', 'teacher_channels')
"""Parameters of a connector that are widths of the two sides."""

OWN_WIDTHS = ('in_channel', 'in_channels')
OTHER_WIDTHS = ('out_channel', 'out_channels')
"""Parameters of MMRazor's own connectors, which see one side: its width, and
that of the feature with which the loss compares the result."""


def missing_widths(kind: type, config: Mapping[str, Any]) -> list[str]:
    """Widths that a class of connectors needs, and a config leaves out.

    Args:
        kind (type): The class.
        config (Mapping): Its config.

    Returns:
        list[str]: Of :data:`WIDTHS`, :data:`OWN_WIDTHS` and
        :data:`OTHER_WIDTHS`.
    """
    parameters = parameters_of(kind)
    needed = [
        name
        for name in (*WIDTHS, *OWN_WIDTHS, *OTHER_WIDTHS)
        if name in parameters
        and (
            parameters[name].default is Parameter.empty
            or (name in WIDTHS and issubclass(kind, PairedConnector))
        )
    ]
    return [name for name in needed if config.get(name) is None]


def check_widths(connectors: Mapping[str, Any] | None) -> None:
    """Check that no connector leaves out a width.

    Raises:
        UserError: If one does.
    """
    for name, config in (connectors or {}).items():
        kind = class_of(config)
        missing = kind and missing_widths(kind, config)
        if missing:
            raise UserError(
                f'connectors.{name}: {", ".join(missing)} left out. Only the '
                'algorithm mmdiffkd.FrozenTeacherDistill reads widths from '
                'the models; write them, or use it'
            )


def class_of(config: Any) -> type | None:
    """The class that a config names, or None."""
    kind = config.get('type') if isinstance(config, Mapping) else None
    kind = MODELS.get(kind) if isinstance(kind, str) and kind else kind
    return kind if isclass(kind) else None


def parameters_of(kind: type) -> dict[str, Parameter]:
    """What a class takes, with what it passes on to its bases."""
    found: dict[str, Parameter] = {}
    for base in kind.__mro__:
        if '__init__' not in vars(base):
            continue
        own = signature(vars(base)['__init__']).parameters
        for name, parameter in own.items():
            found.setdefault(name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            break
    return found
