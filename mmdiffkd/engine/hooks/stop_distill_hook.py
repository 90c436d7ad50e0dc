# Copyright (c) mmdiffkd contributors.
"""Stop distillation at a moment of the training."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmdiffkd.registry import HOOKS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.distillation import unwrap


@HOOKS.register_module()
class StopDistillHook(Hook):
    """Train the student alone from some epoch or iteration on.

    ``stop_epoch`` counts as in MMRazor's hook of this name: after that many
    finished epochs, so 0 never distils and 8 distils through epoch 8 of the
    log. Neither teacher nor connectors run from then on, and DDP needs
    ``find_unused_parameters`` at no time; see
    :class:`~mmdiffkd.models.FrozenTeacherDistill`.

    The state is derived from the progress of the run and not stored, so a
    resumed run is right, also if the moment has been changed meanwhile.

    Args:
        stop_epoch (int, optional): Epochs with distillation. For loops of
            epochs only. Defaults to None.
        stop_iter (int, optional): Iterations with distillation. For any
            loop. Defaults to None.

    Raises:
        UserError: Unless exactly one is given and it is an integer of at
            least 0; in training, if the loop has no epochs or the model
            cannot stop.
    """

    priority = 'LOW'

    def __init__(
        self, stop_epoch: int | None = None, stop_iter: int | None = None
    ) -> None:
        given = dict(stop_epoch=stop_epoch, stop_iter=stop_iter)
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise UserError(
                'StopDistillHook needs either stop_epoch or '
                f'stop_iter, got {given or "neither"}'
            )
        ((name, value),) = given.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UserError(
                f'StopDistillHook: {name} counts the {name[5:]}s '
                'with distillation, an integer of at least 0, '
                f'got {value!r}'
            )
        self.stop_epoch = stop_epoch
        self.stop_iter = stop_iter
        self._stop: int = value

    def before_train(self, runner: Runner) -> None:
        """Check model and loop, and set the state that is resumed."""
        model = unwrap(runner.model)
        if not hasattr(model, 'distillation_stopped'):
            raise UserError(
                'StopDistillHook: the model, a '
                f'{type(model).__name__}, does not distil; remove '
                'the hook, or wrap the model in mmdiffkd.FrozenTeacherDistill'
            )
        if self.stop_epoch is not None:
            if isinstance(runner.train_loop, IterBasedTrainLoop):
                raise UserError(
                    f'StopDistillHook(stop_epoch={self.stop_epoch}): '
                    f'{type(runner.train_loop).__name__} counts iterations '
                    'and has no epochs; set stop_iter'
                )
            last = runner.max_epochs
        else:
            last = runner.max_iters
        if self._stop >= last:
            runner.logger.log(
                logging.WARNING,
                'StopDistillHook never stops: the training '
                f'ends at {last}, not after {self._stop}',
            )
        self._update(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Stop at the start of an epoch."""
        if self.stop_epoch is not None:
            self._update(runner)

    def before_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Stop at an iteration."""
        if self.stop_iter is not None:
            self._update(runner)

    def _update(self, runner: Runner) -> None:
        if self.stop_epoch is not None:
            stopped = runner.epoch >= self.stop_epoch
        else:
            stopped = runner.iter >= self.stop_iter
        model = unwrap(runner.model)
        if stopped and not model.distillation_stopped:
            runner.logger.info(
                f'distillation stops after epoch {runner.epoch}, iteration '
                f'{runner.iter}; the student trains on alone'
            )
        model.distillation_stopped = stopped
