# Copyright (c) mmdiffkd contributors.
"""Look at the first iteration of a distillation from outside."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmdiffkd.utils import UserError, isolated_rng
from mmdiffkd.utils.distillation import (
    student_records,
    tensors_of,
    watch_losses,
)

from ..checks.classes import num_classes
from .level_names import misnamed_levels
from .loss_sizes import (
    LossSize,
    gradients,
    loss_sizes,
    saved_buffers,
    size_of,
)


class FirstIteration:
    """What a distillation does in one iteration: records, losses, gradients.

    Nothing is changed: hooks on parameters only look, and the gradients of
    the losses are taken with respect to the recorded student features alone.

    Args:
        model (Any): A distillation algorithm, a module of MMRazor or this
            package.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        #: Shapes of each side's records: side -> recorder -> texts.
        self.records: dict[str, dict[str, list[str]]] = {}
        #: Largest gradient that distillation alone sends into each student
        #: record; None where there is none.
        self.into_student: dict[str, Tensor | None] = {}
        #: Largest gradient of each parameter that gets one.
        self.gradients: dict[str, Tensor] = {}
        self.has_losses = False
        #: Each distillation loss next to the task's.
        self.sizes: list[LossSize] = []
        #: Largest size of what was recorded of each side.
        self.sides: dict[str, float] = {}
        #: Connectors and losses of another level than their names say.
        self.misnamed: list[str] = []
        self._features: dict[str, list[Tensor]] = {}
        self._height: int | None = None
        self._parse = model.parse_losses
        model.parse_losses = self._compare
        self._end_watch = watch_losses(model.distiller, self._observe)
        self._handles = [
            p.register_hook(lambda g, name=name: self._note(name, g))
            for name, p in model.named_parameters()
            if p.requires_grad
        ]
        backbone = getattr(model.architecture, 'backbone', None)
        if isinstance(backbone, nn.Module):
            self._handles.append(
                backbone.register_forward_pre_hook(self._note_size)
            )

    def _note_size(self, _: nn.Module, inputs: tuple) -> None:
        if inputs and isinstance(inputs[0], Tensor) and inputs[0].dim() == 4:
            self._height = inputs[0].shape[2]

    def end(self) -> None:
        """Stop looking."""
        self._end_watch()
        vars(self.model).pop('parse_losses', None)
        self._features = {}
        for handle in self._handles:
            handle.remove()

    def _note(self, name: str, gradient: Tensor) -> None:
        self.gradients[name] = gradient.detach().abs().max()

    def _observe(self, compute: Callable[[], Any]) -> Any:
        distiller = self.model.distiller
        for side in ('student', 'teacher'):
            manager = getattr(distiller, f'{side}_recorders')
            self.records[side] = {}
            for name, recorder in manager.recorders.items():
                tensors = tensors_of(recorder.data_buffer)
                self.records[side][name] = [shape_text(t) for t in tensors]
                if name.startswith('_'):
                    continue
                self.sides[side] = max(
                    self.sides.get(side, 0.0), size_of(tensors)
                )
        self._features = student = student_records(distiller)
        if self._height:
            self.misnamed = list(misnamed_levels(distiller, self._height))
        losses = compute()
        total = sum(
            t.mean()
            for name, value in losses.items()
            if 'loss' in name
            for t in tensors_of(value)
        )
        self.has_losses = isinstance(total, Tensor)
        if isinstance(total, Tensor) and total.requires_grad:
            self._into_student(total, student)
        return losses

    def _compare(self, losses: Mapping[str, Any]) -> Any:
        """Look at all losses, where MMEngine adds them up."""
        saved = saved_buffers(self.model)
        self.sizes = loss_sizes(
            losses,
            self._features,
            lambda value: sum(t.mean() for t in tensors_of(value)),
        )
        for buffer, content in saved:
            buffer.data.copy_(content)
        self._features = {}
        return self._parse(losses)

    def _into_student(self, total: Tensor, student: Mapping) -> None:
        buffers = [(b, b.clone()) for b in self.model.distiller.buffers()]
        for name, features in student.items():
            self.into_student[name] = None
            if not features:
                continue
            largest = [
                g.abs().max().float()
                for g in gradients(total, features)
                if g is not None
            ]
            if largest:
                self.into_student[name] = torch.stack(largest).max()
        for buffer, saved in buffers:
            # Recomputation by a part of the user's has updated its norms
            # once more. Past the version counter: the graph has not changed.
            buffer.data.copy_(saved)


def teacher_loss(model: Any, batch: Any) -> tuple[dict[str, float], str]:
    """Compute the teacher's own task losses on a batch.

    Args:
        model (Any): A ``FrozenTeacherDistill``.
        batch (Any): What the data loader gave.

    Returns:
        tuple[dict[str, float], str]: The losses, and why there are none.
    """
    classes = [num_classes(model.teacher), num_classes(model.student)]
    # Labels beyond the teacher's classes would abort a CUDA process.
    if classes[0] is None:
        return {}, 'no head of the teacher says how many classes it has'
    if classes[0] != classes[1]:
        return (
            {},
            f'the teacher has {classes[0]} classes, the student '
            f'{"says no number" if classes[1] is None else classes[1]}',
        )
    try:
        with torch.no_grad(), isolated_rng(gpu=True):
            data = model.data_preprocessor(copy.deepcopy(batch), False)
            inputs = data['inputs']
            samples = data.get('data_samples')
            if model.teacher_input is not None:
                inputs = model.teacher_input(inputs, samples)
            losses = model.teacher(inputs, samples, mode='loss')
            return {
                name: float(sum(t.mean() for t in tensors_of(value)))
                for name, value in losses.items()
                if 'loss' in name
            }, ''
    except Exception as error:  # any model; this is a hint and no more
        return {}, f'{type(error).__name__}: {str(error).splitlines()[:1]}'


def check_optimizer(model: Any, wrapper: Any) -> tuple[int, int]:
    """Check whose parameters are trained.

    Args:
        model (Any): The algorithm.
        wrapper (OptimWrapper | OptimWrapperDict): Built optimizer.

    Returns:
        tuple[int, int]: Number of tensors of the student and of the
        distiller that are trained.

    Raises:
        UserError: If a trainable parameter of the distiller is missing, or
            one of a frozen teacher is there.
    """
    wrappers = wrapper.values() if hasattr(wrapper, 'values') else [wrapper]
    trained = {
        id(p)
        for w in wrappers
        for group in w.optimizer.param_groups
        for p in group['params']
        if p.requires_grad
    }
    missing = [
        f'distiller.{name}'
        for name, p in model.distiller.named_parameters()
        if p.requires_grad and id(p) not in trained
    ]
    if missing:
        raise UserError(
            f'{len(missing)} parameters of the distiller, such as '
            f"'{missing[0]}', are not in the optimizer and would keep their "
            'random values; check optim_wrapper.constructor and '
            'optim_wrapper.paramwise_cfg'
        )
    teacher = getattr(model, 'teacher', None)
    frozen = not getattr(model, 'teacher_trainable', False)
    if (
        teacher is not None
        and frozen
        and any(id(p) in trained for p in teacher.parameters())
    ):
        raise UserError(
            'the optimizer holds parameters of the frozen '
            'teacher; check optim_wrapper.constructor'
        )
    student, distiller = (
        sum(id(p) in trained for p in part.parameters())
        for part in (model.architecture, model.distiller)
    )
    return student, distiller


def shape_text(tensor: Tensor) -> str:
    """A shape such as ``2x256x100x152``."""
    return 'x'.join(map(str, tensor.shape)) or 'scalar'
