# Copyright (c) mmdiffkd contributors.
"""What happens when a loss is not finite."""

import os.path as osp
from typing import Any

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdiffkd.diffusion import IterationCount, noise_sources
from mmdiffkd.registry import HOOKS
from mmdiffkd.utils import NonFiniteLossError, UserError
from mmdiffkd.utils.batch_dump import (
    batch_content,
    image_paths,
    limited,
    rebuild_batch,
)
from mmdiffkd.utils.checkpoints.files import write_checkpoint
from mmdiffkd.utils.distillation import Distillation, attend, unwrap
from mmdiffkd.utils.rng import get_rng_states, set_rng_states


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Dump the batch of a loss that is not finite; stop, or skip the step.

    Without the hook, :class:`~mmdiffkd.models.FrozenTeacherDistill` stops
    such a run before the step and names the components. The hook adds the
    image paths and ``nonfinite_iter_<N>_rank_<R>.pth`` in the work dir: batch,
    weights and random states of iteration N, counted from 1 as in the log and
    in ``iter_N.pth``; tensors and plain values only.

    With ``on_nonfinite='skip'`` all ranks leave the step out if the loss of
    any is not finite, and batch statistics are put back. Under gradient
    accumulation the bad batch alone is left out, and the step if no batch of
    it is good. Schedulers count on.

    Cost in an iteration: a copy of the buffers, and under 'skip' an
    all-reduce of one number. Neither adds a wait for the device; the
    algorithm's check has one already.

    Note: the hook sees losses before the loss scale of float16. Where a loss
    is finite and its gradients overflow, the scaler of MMEngine's
    ``AmpOptimWrapper`` skips the step by itself.

    Args:
        on_nonfinite (str): ``'stop'`` or ``'skip'``. Defaults to ``'stop'``.
        max_skips (int): Stop nevertheless after as many skips in a row.
            Defaults to 10.
        max_dumps (int): Number of dumps of a run at most; 0 for none.
            Defaults to 3.
        max_dump_mb (int): Size of a dump (MiB) at most; the weights, then
            the images are left out of a larger one. Defaults to 1024.

    Raises:
        UserError: If an argument is wrong, or the model is another.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        on_nonfinite: str = 'stop',
        max_skips: int = 10,
        max_dumps: int = 3,
        max_dump_mb: int = 1024,
    ) -> None:
        if on_nonfinite not in ('stop', 'skip'):
            raise UserError(
                "FiniteLossHook: on_nonfinite is 'stop' or "
                f"'skip', not {on_nonfinite!r}"
            )
        for name, value in dict(
            max_skips=max_skips, max_dumps=max_dumps, max_dump_mb=max_dump_mb
        ).items():
            if not isinstance(value, int) or value < 0:
                raise UserError(
                    f'FiniteLossHook: {name} must be an integer '
                    f'of at least 0, got {value!r}'
                )
        self.skip = on_nonfinite == 'skip'
        self.max_skips = max_skips
        self.max_dumps = max_dumps
        self.max_dump_mb = max_dump_mb
        self._skips_in_a_row = self._skipped = 0
        # Good batches since the last step, under gradient accumulation.
        self._good = 0
        self._batch: Any = None
        self._states: dict[str, Any] = {}
        self._buffers: list[Tensor] = []
        self._live: list[Tensor] = []

    def before_train(self, runner: Runner) -> None:
        """Put the guard into the algorithm."""
        model = unwrap(runner.model)
        guarded = isinstance(model, Distillation)
        if not guarded:
            raise UserError(
                f'FiniteLossHook guards mmdiffkd.FrozenTeacherDistill, not a '
                f'{type(model).__name__}; remove the hook'
            )
        self._runner, self._model = runner, model
        self._sources = list(noise_sources(model))
        model.nonfinite_guard = self
        attend(model, self)
        if self.skip:
            self._guard_steps(runner.optim_wrapper)

    def after_train(self, runner: Runner) -> None:
        """Take it out again."""
        self._model.nonfinite_guard = None
        self._batch = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Remember what an iteration starts from."""
        self._batch = data_batch
        self._states = {
            'global': get_rng_states(),
            'noise': {name: source.state() for name, source in self._sources},
        }
        # Batch statistics, which the forward pass updates. Finding them costs
        # more than copying them, and they hardly ever change.
        if not self._buffers or batch_idx % 100 == 0:
            self._live = list(self._model.buffers())
            self._buffers = [b.clone() for b in self._live]
        elif self._live:
            torch._foreach_copy_(self._buffers, self._live)

    def after_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Let go of the batch."""
        self._batch = None

    def agree(self, finite: Tensor) -> Tensor:
        """Whether the losses of all ranks are finite.

        Args:
            finite (Tensor): Boolean scalar of this rank.

        Returns:
            Tensor: Of this rank when the run is to stop, of all when a step
            is to be skipped.
        """
        if self.skip and dist.is_available() and dist.is_initialized():
            finite = finite.float()
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        return finite

    def good_batch(self) -> None:
        """Note that the losses of this batch are finite."""
        self._good += 1
        self._skips_in_a_row = 0

    def log_vars(self) -> dict[str, Tensor]:
        """What the log says of a skipped iteration."""
        return dict(skipped_steps=torch.tensor(float(self._skipped)))

    def handle(self, message: str, bad: bool) -> Tensor:
        """Stop or skip.

        Args:
            message (str): What is not finite.
            bad (bool): Whether it is on this rank.

        Returns:
            Tensor: A zero that depends on all parameters, to be the loss.

        Raises:
            NonFiniteLossError: If the run is to stop.
        """
        if bad:
            paths = image_paths(self._batch)
            if paths:
                message += f'. Images: {", ".join(paths[:16])}'
            message += self._dump(message)
        else:
            message = 'loss is not finite on another rank'
        trainable = [p for p in self._model.parameters() if p.requires_grad]
        broken = not all(torch.isfinite(p).all() for p in trainable)
        if broken:
            message += (
                '. Weights are not finite either: resume from an '
                'earlier checkpoint'
            )
        self._skips_in_a_row += 1
        if self._skips_in_a_row > self.max_skips:
            message += f'. {self.max_skips} steps in a row had been skipped'
        if not self.skip or broken or self._skips_in_a_row > self.max_skips:
            raise NonFiniteLossError(message)
        for buffer, saved in zip(self._live, self._buffers):
            buffer.copy_(saved)
        for module in self._model.modules():
            if isinstance(module, IterationCount):
                module.recount()
        self._skipped += 1
        self._runner.logger.warning(
            f'{message}. Skipped, as {self._skipped} in this run'
        )
        # DDP waits for a gradient of every parameter.
        return sum(p.sum() for p in trainable) * 0.0

    def _guard_steps(self, wrapper: OptimWrapper) -> None:
        """Leave out steps to which no good batch has contributed."""
        if not isinstance(wrapper, OptimWrapper):
            raise UserError(
                "FiniteLossHook: on_nonfinite='skip' needs one "
                f'optimizer, not {type(wrapper).__name__}'
            )
        step = wrapper.step

        def guarded_step(**kwargs: Any) -> None:
            if self._good:
                step(**kwargs)
            self._good = 0

        wrapper.step = guarded_step

    def _dump(self, message: str) -> str:
        if self.max_dumps == 0:
            return ''
        self.max_dumps -= 1
        runner = self._runner
        rank = dist.get_rank() if dist.is_initialized() else 0
        # Counted as MMEngine's checkpoints and log lines are.
        iteration = runner.iter + 1
        content = dict(
            message=message,
            iter=iteration,
            epoch=runner.epoch,
            rank=rank,
            cfg=runner.cfg.pretty_text,
            generators=self._states,
            batch=batch_content(self._batch),
            state_dict=self._weights(),
        )
        content, left_out = limited(
            content, ('state_dict', 'batch'), self.max_dump_mb * 2**20
        )
        path = osp.join(
            runner.work_dir, f'nonfinite_iter_{iteration}_rank_{rank}.pth'
        )
        try:
            write_checkpoint(content, path)
        except OSError as error:
            return f'. No dump: {error}'
        return f'. Batch and states are in {path}' + (
            f', without {" and ".join(left_out)} (max_dump_mb='
            f'{self.max_dump_mb})'
            if left_out
            else ''
        )

    def _weights(self) -> dict[str, Tensor]:
        """State dict as before the iteration, as far as it is known."""
        state = {
            k: v.detach().cpu() for k, v in self._model.state_dict().items()
        }
        names = [name for name, _ in self._model.named_buffers()]
        for name, saved in zip(names, self._buffers):
            if name in state:
                state[name] = saved.cpu()
        return state


def restore_dump(model: nn.Module, dump: dict[str, Any]) -> Any:
    """Bring a model to where a dump was taken.

    Args:
        model (nn.Module): The algorithm, built from ``dump['cfg']``.
        dump (dict): Content of the file.

    Returns:
        Any: The batch, for ``model.data_preprocessor(batch, True)``.
    """
    model.load_state_dict(dump['state_dict'])
    set_rng_states(dump['generators']['global'])
    for name, source in noise_sources(model):
        source.set_state(dump['generators']['noise'][name])
    return rebuild_batch(dump['batch'])
