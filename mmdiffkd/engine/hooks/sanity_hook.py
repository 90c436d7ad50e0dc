# Copyright (c) mmdiffkd contributors.
"""Detect, in the first iteration, a distillation that cannot work."""

import hashlib
import logging
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdiffkd.diffusion import noise_sources
from mmdiffkd.registry import HOOKS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.distillation import attend, unwrap

from ..checks.annotations import check_built_data
from ..first_iteration.loss_sizes import likely_causes, outsized
from ..first_iteration.report import (
    FirstIteration,
    check_optimizer,
    teacher_loss,
)


@HOOKS.register_module()
class SanityHook(Hook):
    """Check the set-up of a distillation once, and report it in the log.

    Errors: more classes in the training data than the student has outputs;
    data without annotations that are needed; parameters of connectors that
    are not in the optimizer, or a frozen teacher's that are; a model wrapper
    that hides the student; no gradient from distillation into any student
    feature; a connector that learns nothing; equal noise on two ranks;
    distillation losses that are all exactly zero for ``zero_patience``
    iterations.

    Warnings: a teacher with random weights; a teacher whose own loss on the
    first batch is above the student's; a recorder that is never read; a loss
    that stays exactly zero; a distillation loss, or its gradient into the
    student, of a hundred times the task's; data sets in which a label means
    two things.

    It costs one pass of the teacher's head and the gradient of each loss at
    the recorded features, in the first iteration. Training is the same with
    and without it, bit by bit.

    Args:
        teacher_hint (bool): Whether to compute the teacher's own loss on the
            first batch, where its classes are the student's. Defaults to
            True.
        zero_patience (int): Iterations in which a loss may be zero; 0 never
            complains. Defaults to 20.
    """

    # Behind all that changes the model before the training.
    priority = 'LOWEST'

    def __init__(
        self, teacher_hint: bool = True, zero_patience: int = 20
    ) -> None:
        if not isinstance(zero_patience, int) or zero_patience < 0:
            raise UserError(
                'SanityHook: zero_patience is a number of '
                f'iterations, got {zero_patience!r}'
            )
        self.teacher_hint = teacher_hint
        self.zero_patience = zero_patience
        self._look: FirstIteration | None = None
        self._largest: dict[str, Tensor] = {}
        self._seen = 0
        self._lines: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Check what can be checked without data."""
        model = self._model(runner)
        attend(model, self)
        learner = getattr(model, 'architecture', model)
        for line in check_built_data(runner, learner):
            runner.logger.warning(line)
        self._done = not hasattr(model, 'distiller')
        if self._done:
            runner.logger.info('SanityHook: the model does not distil')
            return
        student, distiller = check_optimizer(model, runner.optim_wrapper)
        frozen = not getattr(model, 'teacher_trainable', False)
        teacher = getattr(model, 'teacher', None)
        if teacher is not None:
            self._add(
                'teacher',
                f'{type(teacher).__name__}, '
                f'{len(teacher.state_dict())} weights, '
                + self._origin(model)
                + (', frozen' if frozen else ', trained'),
            )
            for option in getattr(model, 'teacher_options', ()):
                self._add('', f'changed, with the same weights: {option}')
        self._add(
            'optimizer',
            f'{student} tensors of the student, '
            f'{distiller} of the distiller, none of a frozen teacher',
        )

    def before_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Look at the first iteration that distils."""
        model = self._model(runner)
        if (
            not self._done
            and self._look is None
            and not getattr(model, 'distillation_stopped', False)
        ):
            self._look = FirstIteration(model)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Judge it, and report."""
        look = self._look
        if look is not None and not self._done:
            self._done = True
            look.end()
            if 'skipped_steps' not in (outputs or {}):
                self._judge(runner, look, data_batch, outputs or {})
            self._look = None
        if self._seen < self.zero_patience:
            self._watch_zeros(runner, outputs or {})

    def after_train(self, runner: Runner) -> None:
        """Stop looking, if nothing was to be seen."""
        if self._look is not None:
            self._look.end()

    @staticmethod
    def _model(runner: Runner) -> Any:
        model = runner.model
        if is_model_wrapper(model) and 'FullySharded' in type(model).__name__:
            raise UserError(
                f'{type(model).__name__} splits the parameters of the '
                'student, and a distillation needs it whole; use '
                'MMDistributedDataParallel (leave model_wrapper_cfg out)'
            )
        return unwrap(model)

    @staticmethod
    def _origin(model: Any) -> str:
        source = getattr(model, 'teacher_ckpt', None)
        if source:
            return f'all from {source}'
        if getattr(model, 'allow_random_teacher', False):
            return 'RANDOM'
        return 'as built'

    def _add(self, topic: str, text: str) -> None:
        self._lines.append(f'  {topic:<10} {text}')

    def _judge(
        self, runner: Runner, look: FirstIteration, batch: Any, outputs: dict
    ) -> None:
        model = self._model(runner)
        self._report_records(runner, look)
        self._report_losses(outputs)
        self._judge_gradients(look, model)
        if look.misnamed:
            runner.logger.warning(
                'names of levels are not their strides, 2^p pixels for p3 and '
                f'so on: {", ".join(look.misnamed)}. Rename them, or take '
                'the base for these levels, so that the log says what it says '
                'for other configs'
            )
        told = outsized(look.sizes)
        if told:
            causes = likely_causes(look.sides)
            for i, line in enumerate([*told, *causes]):
                self._add('' if i else 'CHECK', line)
            runner.logger.warning(
                'distillation is out of proportion to the task: '
                + '. '.join([*told, ' '.join(causes)])
            )
        self._judge_noise(model)
        if self.teacher_hint and hasattr(model, 'teacher_input'):
            self._hint(runner, model, batch, outputs)
        if is_main_process():
            runner.logger.info(
                f'distillation at iteration {runner.iter + 1}:\n'
                + '\n'.join(self._lines)
            )

    def _report_records(self, runner: Runner, look: FirstIteration) -> None:
        for side, records in look.records.items():
            for name, shapes in records.items():
                if name.startswith('_'):
                    continue
                self._add(
                    'features',
                    f'{side} {name}: '
                    + (', '.join(shapes[:8]) or 'NOTHING RECORDED')
                    + (', ...' if len(shapes) > 8 else ''),
                )
                if not shapes:
                    runner.logger.warning(
                        f"{side} recorder '{name}' recorded nothing in the "
                        'first iteration, and nothing reads it; remove it, or '
                        'name it in a mapping'
                    )

    def _report_losses(self, outputs: dict) -> None:
        values = [
            f'{name} {as_number(value):.4g}'
            for name, value in outputs.items()
            if 'loss' in name
        ]
        for i in range(0, len(values), 3):
            self._add('' if i else 'losses', '   '.join(values[i : i + 3]))

    def _judge_gradients(self, look: FirstIteration, model: Any) -> None:
        if not look.has_losses:
            self._add('gradient', 'no distillation losses')
            return
        reached = {
            name: float(value)
            for name, value in look.into_student.items()
            if value is not None and value != 0
        }
        if look.records.get('student') and not reached:
            raise UserError(
                'no gradient of the distillation losses reaches the student: '
                f'its records {sorted(look.into_student)} get none, so '
                'distillation would change nothing. Check from_student in '
                'loss_forward_mappings, frozen modules, and loss weights'
            )
        self._add(
            'gradient',
            'from distillation alone into the student: '
            + ', '.join(f'{k} {v:.3g}' for k, v in reached.items()),
        )
        largest = max(look.sizes, key=lambda s: s.gradient, default=None)
        if largest is not None and largest.gradient:
            self._add(
                '',
                f"largest next to the task's: {largest.name} into "
                f'{largest.record}, {largest.gradient:.3g} times',
            )
        for name, connector in model.distiller.connectors.items():
            start = f'distiller.connectors.{name}.'
            own = [
                start + key
                for key, p in connector.named_parameters()
                if p.requires_grad
            ]
            learning = sum(
                bool(look.gradients[key] != 0)
                for key in own
                if key in look.gradients
            )
            if own and not learning:
                raise UserError(
                    f"connector '{name}' gets no gradient: none of its "
                    f'{len(own)} parameters would be trained. Check its loss '
                    'weights, and which losses use it'
                )
            denoiser = [key for key in own if '.denoiser.' in key]
            if denoiser and not any(
                bool(look.gradients[key] != 0)
                for key in denoiser
                if key in look.gradients
            ):
                raise UserError(
                    f"the denoiser of connector '{name}' gets no gradient, so "
                    'it would never learn the teacher; check its '
                    'diffusion_loss_weight'
                )
            self._add(
                '',
                f'{name}: {learning} of {len(own)} parameters get '
                'one (a part that starts at zero waits a step)',
            )

    def _judge_noise(self, model: Any) -> None:
        device = next(model.parameters()).device
        states = [
            source.generator(device).get_state().numpy().tobytes()
            for _, source in noise_sources(model)
        ]
        if not states:
            return
        ranks = all_gather_object(
            [hashlib.sha256(state).hexdigest() for state in states]
        )
        for i in range(len(states)):
            if len({rank[i] for rank in ranks}) < len(ranks):
                raise UserError(
                    'two ranks draw the same noise; do not share '
                    'a generator between ranks'
                )
        self._add(
            'noise',
            f'{len(states)} sources, different on {get_world_size()} rank(s)',
        )

    def _hint(
        self, runner: Runner, model: Any, batch: Any, outputs: dict
    ) -> None:
        losses, why_not = teacher_loss(model, batch)
        common = [name for name in losses if f'student.{name}' in outputs]
        if not common:
            self._add(
                'hint',
                'no comparison of losses with the teacher: '
                + (why_not or 'other names'),
            )
            return
        teacher = sum(losses[name] for name in common)
        student = sum(as_number(outputs[f'student.{name}']) for name in common)
        self._add(
            'hint',
            f'task loss on this batch: teacher {teacher:.4g}, '
            f'student {student:.4g}',
        )
        if not teacher <= student:
            runner.logger.warning(
                f'the teacher is worse than the student on the first batch '
                f'(task loss {teacher:.4g} against {student:.4g}): does its '
                'checkpoint belong to this data, these classes and this '
                'normalisation?'
            )

    def _watch_zeros(self, runner: Runner, outputs: dict) -> None:
        """Complain of losses that are exactly zero, with one wait."""
        for name, value in outputs.items():
            if (
                name.startswith('distill.')
                and 'loss' in name
                and name != 'distill.loss_stopped'
            ):
                value = torch.as_tensor(value).detach().abs()
                self._largest[name] = torch.maximum(
                    self._largest.get(name, value), value
                )
        self._seen += 1
        if self._seen < self.zero_patience or not self._largest:
            return
        largest, self._largest = self._largest, {}
        zero = [k for k, value in largest.items() if value == 0]
        message = (
            f'{", ".join(zero)}: exactly zero for '
            f'{self.zero_patience} iterations. Check loss_weight and '
            'the mappings, or set SanityHook.zero_patience=0'
        )
        if len(zero) == len(largest):
            raise UserError(message)
        if zero:
            runner.logger.log(logging.WARNING, message)


def as_number(value: Any) -> float:
    """A logged value, a number or a tensor of one, as a number."""
    return float(value.detach() if isinstance(value, Tensor) else value)
