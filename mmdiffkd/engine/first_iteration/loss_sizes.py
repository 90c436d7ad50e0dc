# Copyright (c) mmdiffkd contributors.
"""How large each distillation loss is, next to the student's task."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

FACTOR = 100.0
"""From here on, a distillation loss is told as out of proportion."""


class LossSize(NamedTuple):
    """One distillation loss of one iteration.

    Attributes:
        name (str): Its name in the log.
        value (float): The loss, with its weight.
        task (float, optional): Sum of the student's own losses; None where
            it has none, so that there is nothing to compare with.
        gradient (float): Euclidean norm of its gradient at a student
            record, all levels together, in units of the task's there; 0 where
            one of the two does not reach the record, or the task's is zero.
        record (str): The student recorder where that is largest.
    """

    name: str
    value: float
    task: float | None
    gradient: float
    record: str

    @property
    def ratio(self) -> float:
        """Loss in units of the task's."""
        if self.task is None:
            return 0.0 if math.isfinite(self.value) else math.inf
        if not self.task:
            return float('inf') if self.value else 0.0
        return abs(self.value / self.task)

    @property
    def outsized(self) -> bool:
        """Whether it, or its gradient, is :data:`FACTOR` times the task's."""
        # Written so that NaN is outsized as well.
        return not (self.ratio < FACTOR and self.gradient < FACTOR)


def loss_sizes(
    losses: Mapping[str, Any],
    features: Mapping[str, Sequence[Tensor]],
    total: Callable[[Any], Any],
) -> list[LossSize]:
    """Compare the distillation losses of an iteration with the task's.

    Args:
        losses (Mapping): Of the algorithm, ``student.*`` and ``distill.*``.
        features (Mapping): Tensors of each student recorder.
        total (Callable): Adds up one entry of ``losses``.

    Returns:
        list[LossSize]: For each distillation loss. Gradients are 0 where a
        part of the student is recomputed in the backward pass, and PyTorch
        cannot ask for a single gradient.
    """
    ours: dict[str, Any] = {}
    task: Any = None
    for name, value in losses.items():
        if 'loss' not in name or name == 'distill.loss_stopped':
            continue
        if name.startswith('distill.'):
            ours[name] = total(value)
        elif not name.startswith('teacher.'):
            task = total(value) + (0 if task is None else task)
    flat = [(name, t) for name, tensors in features.items() for t in tensors]
    tensors = [t for _, t in flat]
    try:
        # Together: several ranks must take the same way.
        of_task = _norms(task, tensors)
        norms = {name: _norms(loss, tensors) for name, loss in ours.items()}
    except RuntimeError as error:
        if 'heckpoint' not in str(error):
            raise
        of_task, norms = {}, {}
    sizes = []
    for name, loss in ours.items():
        ratios = {'': 0.0}
        for record in features:
            places = [i for i, (of, _) in enumerate(flat) if of == record]
            own, other = (
                sum(part.get(i, 0.0) ** 2 for i in places) ** 0.5
                for part in (norms.get(name, {}), of_task)
            )
            # A record beside the task's way cannot be compared, nor one
            # below a head whose weights begin at zero.
            if own and other:
                ratios[record] = own / other
        # NaN is the worst, and no number is below or above it.
        worst = max(ratios, key=lambda r: (math.isnan(ratios[r]), ratios[r]))
        sizes.append(
            LossSize(
                name,
                _number(loss),
                None if task is None else _number(task),
                ratios[worst],
                worst,
            )
        )
    return sizes


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _norms(loss: Any, tensors: Sequence[Tensor]) -> dict[int, float]:
    """Norm of the gradient at each tensor that a loss reaches."""
    if not (tensors and isinstance(loss, Tensor) and loss.requires_grad):
        return {}
    return {
        i: float(g.norm())
        for i, g in enumerate(gradients(loss, tensors))
        if g is not None
    }


def gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients of a loss, in double precision; its graph stays.

    Args:
        loss (Tensor): A scalar.
        tensors (Sequence[Tensor]): At least one, with a gradient.

    Returns:
        list[Tensor | None]: None where the loss does not reach a tensor.
    """
    # Small gradients vanish in half precision, large ones overflow.
    half = any(t.dtype == torch.float16 for t in tensors)
    for factor in (2**16, 1) if half else (1,):
        found: list[Tensor | None] = [
            None if g is None else g.double() / factor
            for g in torch.autograd.grad(
                loss * factor, tensors, retain_graph=True, allow_unused=True
            )
        ]
        if all(g.isfinite().all() for g in found if g is not None):
            break
    return found


def size_of(tensors: Sequence[Tensor]) -> float:
    """Largest root mean square of some tensors.

    What no loss reads of a teacher may have been left out, and has none.
    """
    return max(
        (
            float(t.detach().double().pow(2).mean().sqrt())
            for t in tensors
            if getattr(t, 'has_values', True)
            and t.numel()
            and t.is_floating_point()
        ),
        default=0.0,
    )


def saved_buffers(model: Any) -> list[tuple[Tensor, Tensor]]:
    """Copies of the buffers of what is trained, to put back."""
    return [
        (buffer, buffer.clone())
        for part in (model.architecture, model.distiller)
        for buffer in part.buffers()
    ]


def outsized(sizes: Sequence[LossSize]) -> list[str]:
    """Say which losses are out of proportion to the task.

    Args:
        sizes (Sequence[LossSize]): Of all losses.

    Returns:
        list[str]: A phrase for each.
    """
    phrases = []
    for size in sizes:
        words = []
        if not size.ratio < FACTOR:
            text = f'{size.value:.4g}'
            if size.task == 0:
                text += ', while the task loss is 0'
            elif size.task is not None:
                text += (
                    f', {size.ratio:.3g} times the task loss of '
                    f'{size.task:.4g}'
                )
            words.append(text)
        if not size.gradient < FACTOR:
            words.append(
                f"its gradient into the student's '{size.record}' is "
                f'{size.gradient:.3g} times that of the task'
            )
        if words:
            phrases.append(f'{size.name}: {"; ".join(words)}')
    return phrases


def likely_causes(sides: Mapping[str, float]) -> list[str]:
    """Say why losses may be out of proportion.

    Args:
        sides (Mapping): Size of what was recorded of ``'student'`` and
            ``'teacher'``.

    Returns:
        list[str]: Lines.
    """
    teacher, student = (sides.get(k, 0.0) for k in ('teacher', 'student'))
    return [
        'likely causes: statistics of the teacher that do not fit (other '
        'data, batch norms that',
        f'never saw any; its records have the size {teacher:.3g}, those of '
        f'the student {student:.3g}); images that it',
        'wants in another normalisation (data_preprocessor); a loss_weight '
        'that is too large.',
        '`mmdiffkd loss-gradients` shows more',
    ]
