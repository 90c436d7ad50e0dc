# Copyright (c) mmdiffkd contributors.
"""Save and leave when the cluster asks for the machine back."""

import atexit
import multiprocessing.util  # registers its exit function
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmdiffkd.registry import HOOKS
from mmdiffkd.utils.distillation import attend
from mmdiffkd.utils.errors import UserError

from ..process_group import end_processes
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .loop_state_hook import is_accumulating

EXIT_CODE = 85
"""Exit code of a run that was preempted, saved, and can be resumed.

No shell, signal or ``sysexits.h`` uses it, and HTCondor's manual proposes it
for this purpose.
"""
EXIT_FILE = 'MMDIFFKD_PREEMPTED_FILE'
"""Environment variable: a file to make, for launchers that lose exit codes."""

_shielded = False
_blocked: Sequence[int] = ()


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM or SIGUSR1, save at a common iteration and leave.

    A signal may reach one process only, or reach them at different moments.
    All ranks compare notes at the end of every ``interval``-th iteration of
    training and of validation, so they stop at the same one. They wait for
    the checkpoint and exit with code 85. The resumed run goes on exactly
    where this one was; a validation that was cut short is done anew.

    Data loader workers ignore the two signals, which schedulers send to whole
    process groups, and live as long as their parent.

    Args:
        interval (int): In iterations, between two comparisons; one process
            alone looks at every iteration. It is a small all-reduce that the
            host waits for. Defaults to 10.
        signals (Sequence[str]): Their names. Defaults to
            ``('SIGTERM', 'SIGUSR1')``.

    Raises:
        UserError: If an argument is wrong, or no
            :class:`AtomicCheckpointHook` is there to save.
    """

    # After all others: the iteration is then complete, and maybe saved.
    priority = 'LOWEST'

    def __init__(
        self,
        interval: int = 10,
        signals: Sequence[str] = ('SIGTERM', 'SIGUSR1'),
    ) -> None:
        if (
            isinstance(interval, bool)
            or not isinstance(interval, int)
            or interval < 1
        ):
            raise UserError(
                'PreemptionHook: interval is a number of '
                f'iterations of at least 1, got {interval!r}'
            )
        wrong = [
            name
            for name in signals
            if name not in signal.Signals.__members__
            or name in ('SIGKILL', 'SIGSTOP')
        ]
        if isinstance(signals, str) or wrong:
            raise UserError(
                'PreemptionHook: signals is a list of names such as '
                f"['SIGTERM', 'SIGUSR1'] that can be caught, got {signals!r}"
            )
        self.interval = interval
        self.signals = [getattr(signal, name) for name in signals]
        self._received = 0  # number of the signal
        self._pid = os.getpid()
        self._previous: dict[int, Any] = {}
        self._training = False
        self._common_val_iters = 0
        # Now: iteration-based loops start their workers before any method
        # of a hook is called.
        if threading.current_thread() is threading.main_thread():
            _shield_workers(self.signals)
            for number in self.signals:
                self._previous[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() == self._pid:
            self._received = number

    def before_run(self, runner: Runner) -> None:
        """Check that the run can be saved."""
        hooks = [
            h for h in runner.hooks if isinstance(h, AtomicCheckpointHook)
        ]
        if not hooks:
            raise UserError(
                'PreemptionHook needs default_hooks.checkpoint.'
                "type='mmdiffkd.AtomicCheckpointHook'"
            )
        self._checkpoint = hooks[0]

    def before_train(self, runner: Runner) -> None:
        """Leave at once if the signal came while everything was set up."""
        attend(runner.model, self)
        self._training = True
        if self._agreed():
            self._leave(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Save and leave after this iteration, if any rank was told to."""
        if not self._is_turn(runner.iter + 1):
            return
        if not is_accumulating(runner) and self._agreed():
            self._save_and_leave(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Ranks may validate different numbers of batches."""
        count = torch.tensor(len(runner.val_dataloader))
        all_reduce(count, 'min')
        self._common_val_iters = int(count)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Break the validation off, if any rank was told to leave."""
        if (
            not self._training
            or batch_idx + 1 > self._common_val_iters
            or not self._is_turn(batch_idx + 1)
            or not self._agreed()
        ):
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                # It has put the averaged weights into the model.
                hook.after_val_epoch(runner)
        self._save_and_leave(runner, runner.iter)

    def after_val(self, runner: Runner) -> None:
        """Save and leave after this validation, if any rank was told to."""
        if self._training and self._agreed():
            self._save_and_leave(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """All has been saved."""
        self._training = False

    def after_run(self, runner: Runner) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        _shield_workers([])

    def _is_turn(self, count: int) -> bool:
        return get_world_size() == 1 or count % self.interval == 0

    def _agreed(self) -> bool:
        """Whether any rank has received a signal; called on all ranks."""
        number = torch.tensor(self._received)
        all_reduce(number, 'max')
        if int(number) == 0:
            return False  # and keep what came in the meantime
        self._received = int(number)
        return True

    def _save_and_leave(self, runner: Runner, iteration: int) -> NoReturn:
        # At the end only a validation is left, which needs the weights alone.
        whole = iteration < runner.max_iters
        if not self._checkpoint.saved_at(iteration, whole):
            self._checkpoint.save_between(runner, runner.epoch, iteration)
        self._leave(runner, iteration)

    def _leave(self, runner: Runner, iteration: int) -> NoReturn:
        # From here on a second signal must not cut the exit short: the
        # scheduler would see another exit code.
        for number in self._previous:
            signal.signal(number, signal.SIG_IGN)
        name = signal.Signals(self._received).name
        where = getattr(self._checkpoint, 'last_ckpt', None)
        runner.logger.warning(
            f'{name}: stopped after iteration {iteration}; '
            + (f'checkpoint {where}' if where else 'nothing new to save')
            + f'. Go on with --resume. Exit code {EXIT_CODE}'
        )
        runner.visualizer.close()
        barrier()  # rank 0 writes the checkpoint
        if os.environ.get('LOCAL_RANK', '0') == '0' and (
            os.environ.get(EXIT_FILE)
        ):
            open(os.environ[EXIT_FILE], 'w').close()
        # Once nothing is on the stack any more that holds the model.
        atexit.register(end_processes)
        raise SystemExit(EXIT_CODE)


def _shield_workers(signals: Sequence[int]) -> None:
    """Block signals in processes that are forked from now on."""
    global _shielded, _blocked
    _blocked = tuple(signals)
    if not _shielded:
        # Blocked, not ignored: PyTorch's workers set a handler of their own.
        os.register_at_fork(
            after_in_child=lambda: signal.pthread_sigmask(
                signal.SIG_BLOCK, _blocked
            )
        )
        atexit.register(_kill_workers)
        _shielded = True


def _kill_workers() -> None:
    """End persistent workers, which SIGTERM no longer ends.

    Registered after multiprocessing's own exit function, hence run before
    it, which would send them SIGTERM and wait for ever.
    """
    # Their end is wanted; PyTorch's handler would raise an error of it.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()
