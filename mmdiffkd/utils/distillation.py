# Copyright (c) mmdiffkd contributors.
"""What a distillation is, and what is inside a model."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmdiffkd.registry import MODELS


class Distillation:
    """Base of this package's algorithms, by which others know them.

    Whatever its name, a subclass has a student ``architecture``, a
    ``distiller``, ``distillation_stopped``, and a ``nonfinite_guard`` that it
    asks before it steps on a loss.
    """


def is_distillation(cfg: Config) -> bool:
    """Whether a config's model is an algorithm of this package.

    The class decides, not its name. MMRazor's own algorithms are none; see
    :func:`~mmdiffkd.utils.checkpoints.student.is_distill_config` for those.

    Args:
        cfg (Config): Config whose ``custom_imports`` have been imported.

    Returns:
        bool: False too where the type names no registered class.
    """
    model = cfg.get('model')
    if not isinstance(model, Mapping):
        return False
    kind = model.get('type')
    if isinstance(kind, str):
        # What cannot be a name is refused when the model is built.
        if not all(part.isidentifier() for part in kind.split('.')):
            return False
        scope = model.get('_scope_') or cfg.get('default_scope')
        with MODELS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    return isinstance(kind, type) and issubclass(kind, Distillation)


def unwrap(model: Any) -> Any:
    """The model inside the wrappers of distributed training."""
    while is_model_wrapper(model):
        model = model.module
    return model


def tensors_of(data: Any) -> list[Tensor]:
    """Tensors inside nested lists and tuples."""
    if isinstance(data, Tensor):
        return [data]
    if isinstance(data, (list, tuple)):
        return [t for item in data for t in tensors_of(item)]
    return []
