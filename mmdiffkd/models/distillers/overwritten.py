# Copyright (c) mmdiffkd contributors.
"""Notice a record that the model has overwritten since it was taken.

The last norm of a residual block gives a tensor to which the block then adds
its input in place. Whoever recorded the norm finds the sum, or not: a
teacher whose pass ends at the norm never comes to the addition.
"""

from functools import partial
from typing import Any

import torch
from mmrazor.models.task_modules import (
    ModuleInputsRecorder,
    ModuleOutputsRecorder,
    RecorderManager,
)
from torch import Tensor, nn

from mmdiffkd.utils.distillation import tensors_of

_NOTE = '_mmdiffkd_version'


def watch_records(manager: RecorderManager, model: nn.Module) -> None:
    """Note of each record which version of its tensors was recorded.

    Args:
        manager (RecorderManager): Initialised with the model.
        model (nn.Module): Gets hooks on the modules that are recorded.
    """
    modules = dict(model.named_modules())
    for recorder in manager.recorders.values():
        for kind, inputs in (
            (ModuleInputsRecorder, True),
            (ModuleOutputsRecorder, False),
        ):
            if isinstance(recorder, kind):
                hook = partial(_note, of_inputs=inputs)
                modules[recorder.source].register_forward_hook(hook)


def overwritten(record: Any) -> bool:
    """Whether a record holds other values than those that were recorded."""
    return any(
        getattr(tensor, _NOTE) != tensor._version
        for tensor in tensors_of(record)
        if hasattr(tensor, _NOTE)
    )


def forget_versions(records: Any) -> None:
    """Take the notes away: a tensor may live on, as a buffer does."""
    for tensor in tensors_of(records):
        if hasattr(tensor, _NOTE):
            delattr(tensor, _NOTE)


def _note(
    module: nn.Module, inputs: Any, outputs: Any, of_inputs: bool
) -> None:
    if torch.compiler.is_compiling():
        return
    for tensor in tensors_of(inputs if of_inputs else outputs):
        # Two modules may give the same tensor; the earlier version counts.
        if _has_own_version(tensor) and not hasattr(tensor, _NOTE):
            setattr(tensor, _NOTE, tensor._version)


def _has_own_version(tensor: Tensor) -> bool:
    """Whether a new version means new values: not of a slice.

    It shares the version of the whole.
    """
    if tensor.is_inference() or not getattr(tensor, 'has_values', True):
        return False
    size = tensor.numel() * tensor.element_size()
    return tensor.untyped_storage().nbytes() == size
