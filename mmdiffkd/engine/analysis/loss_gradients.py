# Copyright (c) mmdiffkd contributors.
"""Do the distillation losses pull the student where its task pulls it?"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdiffkd.utils import UserError
from mmdiffkd.utils.distillation import (
    student_records,
    tensors_of,
    watch_losses,
)


class Pull(NamedTuple):
    """Gradient of one loss with respect to one student record.

    Attributes:
        record (str): Name of the student's recorder.
        loss (str): Name of the loss; ``'task'`` is the sum of the student's.
        norm (float): Euclidean norm, all tensors of the record together.
        cosine (float): Cosine of its angle to the gradient of ``'task'``.
    """

    record: str
    loss: str
    norm: float
    cosine: float


def loss_gradients(model: nn.Module, batches: Iterable[Any]) -> list[Pull]:
    """Compare the gradients of all losses at the recorded student features.

    A loss whose cosine is 0 disturbs the task more the larger its gradient is;
    one below 0 works against it. Nothing is trained; norms with running
    statistics update them, as a forward pass in training does.

    Args:
        model (nn.Module): A distillation algorithm, in the mode in which it is
            to be looked at.
        batches (Iterable): What a data loader gives.

    Returns:
        list[Pull]: Means over the batches, by record and loss.

    Raises:
        UserError: If no student record has a gradient.
    """
    sums: dict[tuple, Tensor] = defaultdict(lambda: torch.zeros(2).double())
    count = 0
    for batch in batches:
        for key, pull in _pulls_of_batch(model, batch).items():
            sums[key] += pull
        count += 1
    if not sums:
        raise UserError(
            'no loss sends a gradient into a student record; '
            'check model.distiller.student_recorders'
        )
    return [Pull(*key, *(pull / count).tolist()) for key, pull in sums.items()]


def gradients_of_run(runner: Runner, batches: int) -> list[Pull]:
    """Compare the gradients at the first batches of a training.

    Args:
        runner (Runner): Of a distillation, from
            :func:`~mmdiffkd.engine.prepare.prepare`; not trained yet.
        batches (int): How many.

    Returns:
        list[Pull]: As of :func:`loss_gradients`, with the weights that the
        training starts from.

    Raises:
        UserError: If no student record has a gradient.
    """
    loader = runner.build_dataloader(
        runner.cfg.train_dataloader, seed=runner.seed
    )
    runner._init_model_weights()
    runner.load_or_resume()
    return loss_gradients(runner.model.train(), islice(loader, batches))


def _pulls_of_batch(model: Any, batch: Any) -> dict[tuple, Tensor]:
    records: dict[str, list[Tensor]] = {}

    def remember(compute: Callable[[], Any]) -> Any:
        records.update(student_records(model.distiller))
        return compute()

    end = watch_losses(model.distiller, remember)
    try:
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
    finally:
        end()
    totals: dict[str, Any] = {'task': 0.0}
    for name, value in losses.items():
        if 'loss' in name:
            total = sum(t.mean() for t in tensors_of(value))
            if name.startswith('distill.'):
                totals[name[len('distill.') :]] = total
            else:
                totals['task'] = totals['task'] + total
    pulls = {}
    for record, features in records.items():
        if not features:
            continue
        task = _gradient(totals['task'], features)
        for name, total in totals.items():
            own = _gradient(total, features)
            if own.any():
                cosine = torch.cosine_similarity(own, task, dim=0)
                pulls[record, name] = torch.stack([own.norm(), cosine])
    return pulls


def _gradient(total: Any, features: Sequence[Tensor]) -> Tensor:
    """All in one vector of double precision; zeros where there is none."""
    gradients: Sequence[Tensor | None] = [None] * len(features)
    if isinstance(total, Tensor) and total.requires_grad:
        gradients = torch.autograd.grad(
            total, features, retain_graph=True, allow_unused=True
        )
    return torch.cat(
        [
            (torch.zeros_like(f) if g is None else g)
            .detach()
            .flatten()
            .double()
            for f, g in zip(features, gradients)
        ]
    ).cpu()


def as_table(pulls: Sequence[Pull]) -> str:
    """The pulls as text, their norms also in units of the task's.

    Args:
        pulls (Sequence[Pull]): From :func:`loss_gradients`.

    Returns:
        str: A line for each.
    """
    task = {p.record: p.norm for p in pulls if p.loss == 'task'}
    width = max(len(p.loss) for p in pulls)
    name = max(6, *(len(p.record) for p in pulls))
    lines = [
        f'{"record":{name}}  {"loss":{width}}  gradient   of task  '
        'cosine with task'
    ]
    for p in pulls:
        share = p.norm / task[p.record] if task.get(p.record) else float('nan')
        lines.append(
            f'{p.record:{name}}  {p.loss:{width}}  {p.norm:8.2e}  '
            f'{share:7.2f}x  {p.cosine:16.2f}'
        )
    return '\n'.join(lines)
