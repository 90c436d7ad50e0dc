# Copyright (c) mmdiffkd contributors.
"""A training step that can be repeated: the thing that is measured."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmdiffkd.utils.distillation import watch_losses

from ..sweep.batches import Size, batch, pad_to
from ..sweep.stock_step import optimizer
from ..sweep.zoo import semantic_stride
from .models import distiller_of, student_of, teacher_of


class Step:
    """A model's own ``train_step`` on one batch of random labelled images.

    Preprocessing, forward pass, losses, backward pass and the optimizer's
    step are all in it. The learning rate is 0, so that the same step is taken
    each time and nothing diverges; it costs what any other would.

    Args:
        model (BaseModel): Of :mod:`.models`, moved to the device.
        cfg (Config): Its config, with the optimizer.
        device (torch.device): Where it runs.
        size (int | tuple[int, int]): Of the images, in pixels.
        count (int): Number of images.
        amp (str, optional): Type of mixed precision. Defaults to None.
    """

    def __init__(
        self,
        model: BaseModel,
        cfg: Config,
        device: torch.device,
        size: Size,
        count: int,
        amp: str | None = None,
    ) -> None:
        self.model: Any = model.to(device)
        self.scope = cfg.get('default_scope')
        with DefaultScope.overwrite_default_scope(self.scope):
            pad_to(model.data_preprocessor, size)
            self.data = batch(
                student_of(model), size, count, semantic_stride(cfg)
            )
            self.wrapper = optimizer(model, cfg, amp)
        for group in self.wrapper.optimizer.param_groups:
            group['lr'] = 0.0

    def __call__(self) -> None:
        """Take the step."""
        # Preprocessors change labels in place.
        data = copy.deepcopy(self.data)
        with DefaultScope.overwrite_default_scope(self.scope):
            # YOLOX's preprocessor asks how far the Runner is.
            MessageHub.get_current_instance().update_info('iter', 0)
            self.model.train_step(data, self.wrapper)

    def drop_records(self) -> None:
        """Let go of what MMRazor keeps until the next step."""
        distiller = distiller_of(self.model)
        if distiller is not None:
            _drop_records(distiller)

    def parts(self) -> list[nn.Module]:
        """What has to be in memory for it, the teacher included."""
        teacher = teacher_of(self.model)
        return [self.model] if teacher is None else [self.model, teacher]

    def resident(self) -> int:
        """Bytes that it keeps between steps.

        Parameters and buffers of its parts, and what the optimizer keeps for
        them.
        """
        parts = self.parts()
        tensors = {id(t): t for part in parts for t in part.parameters()}
        state = self.wrapper.optimizer.state
        kept = [
            value
            for parameter in list(tensors.values())
            for value in state.get(parameter, {}).values()
            if isinstance(value, Tensor)
        ]
        buffers = (b for part in parts for b in part.buffers())
        storages = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in (*tensors.values(), *buffers, *kept)
        }
        return sum(storages.values())


class FloorStep(Step):
    """The least that a distillation costs: no connector and no loss of it.

    The student's step, and the teacher's forward pass up to the last record,
    as the algorithm itself runs it. What is recorded is dropped.

    Args:
        step (Step): That of the whole; model, batch and optimizer are shared.
    """

    def __init__(self, step: Step) -> None:
        vars(self).update(vars(step))

    def __call__(self) -> None:
        """Take the step."""
        distiller = distiller_of(self.model)
        end = watch_losses(distiller, lambda _: _drop_records(distiller))
        try:
            super().__call__()
        finally:
            end()

    def parts(self) -> list[nn.Module]:
        """Student and teacher; the distiller is not needed."""
        teacher = teacher_of(self.model)
        student = student_of(self.model)
        return [student] if teacher is None else [student, teacher]


def _drop_records(distiller: Any) -> dict[str, Tensor]:
    """Let go of the records, and give no loss."""
    release: Callable[[], None] | None = getattr(distiller, 'release', None)
    if release is not None:
        release()
    else:
        for manager in (
            distiller.student_recorders,
            distiller.teacher_recorders,
        ):
            for recorder in manager.recorders.values():
                recorder.reset_data_buffer()
    return {}
