# Copyright (c) mmdiffkd contributors.
"""What a distillation is, and what is inside a model."""

from collections.abc import Callable, Mapping
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
    :func:`has_student` for those.

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


def has_student(cfg: Config) -> bool:
    """Whether a config's model is an algorithm around a student.

    MMRazor's own are among them; see :func:`is_distillation` for those of
    this package alone.
    """
    return 'architecture' in cfg.get('model', {})


def move_preprocessor_into_model(cfg: Config) -> None:
    """Give the model of a config the preprocessor beside it, in place.

    MMEngine's Runner does so; whoever builds a model without it must too.
    """
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)


def unwrap(model: Any) -> Any:
    """The model inside the wrappers of distributed training."""
    while is_model_wrapper(model):
        model = model.module
    return model


def attend(model: Any, hook: object) -> None:
    """Note that a hook looks after a model.

    Args:
        model (nn.Module): What the runner trains, perhaps in a wrapper.
        hook (Hook): The hook.
    """
    model = unwrap(model)
    if hasattr(model, 'attending_hooks'):
        model.attending_hooks.update(
            kind.__name__ for kind in type(hook).__mro__
        )


def tensors_of(data: Any) -> list[Tensor]:
    """Tensors inside nested lists and tuples."""
    if isinstance(data, Tensor):
        return [data]
    if isinstance(data, (list, tuple)):
        return [t for item in data for t in tensors_of(item)]
    return []


def student_records(distiller: Any) -> dict[str, list[Tensor]]:
    """What a distiller has recorded of the student, with a gradient.

    Args:
        distiller (Any): Asked between the forward passes and the losses.

    Returns:
        dict[str, list[Tensor]]: Tensors by the name of the recorder; those
        that the distiller adds for itself are left out.
    """
    return {
        name: [t for t in tensors_of(recorder.data_buffer) if t.requires_grad]
        for name, recorder in distiller.student_recorders.recorders.items()
        if not name.startswith('_')
    }


def watch_losses(
    distiller: Any, watch: Callable[[Callable[[], Any]], Any]
) -> Callable[[], None]:
    """Put a function in front of a distiller's ``compute_distill_losses``.

    Args:
        distiller (Any): Of this package or of MMRazor.
        watch (Callable): Gets the distiller's own function, and returns the
            losses.

    Returns:
        Callable: Takes it away again.
    """
    compute = distiller.compute_distill_losses
    distiller.compute_distill_losses = lambda: watch(compute)

    def end() -> None:
        vars(distiller).pop('compute_distill_losses', None)

    return end
