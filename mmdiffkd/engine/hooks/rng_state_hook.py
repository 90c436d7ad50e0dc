# Copyright (c) mmdiffkd contributors.
"""Random numbers go on where a checkpoint was written."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdiffkd.diffusion import noise_sources
from mmdiffkd.registry import HOOKS
from mmdiffkd.utils.distillation import attend, unwrap
from mmdiffkd.utils.rng import get_rng_states, set_rng_states

KEY = 'rng_states'
"""Where they are in a checkpoint."""


@HOOKS.register_module()
class RNGStateHook(Hook):
    """Save and restore the state of every random generator of every rank.

    Python's, NumPy's and PyTorch's (CPU and GPU), and the noise of each
    connector. Whether distillation has been stopped is kept with them.
    Validation gets the generators as they are and hands them back so: how
    often a run is validated does not change its training.

    With several processes, a checkpoint holds the states of all of them if
    :class:`AtomicCheckpointHook` writes it. A run resumed with another number
    of processes, or on another kind of device, cannot go on with them: it
    warns, and seeds all generators from seed, rank and iteration.
    """

    # After all others in `before_train`: what they drew by then is undone.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._saved: dict[str, Any] | None = None
        self._gathered: list[dict] | None = None
        self._before_val: dict | None = None

    def gather_state(self, runner: Runner) -> None:
        """Collect the states of all ranks; called on all of them."""
        self._gathered = all_gather_object(self._state(runner))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states to a checkpoint."""
        checkpoint[KEY] = dict(
            world_size=get_world_size(),
            ranks=self._gathered or [self._state(runner)],
        )
        self._gathered = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the states of a run that is resumed."""
        if not runner._resume:
            return
        self._saved = checkpoint.get(KEY)
        if self._saved is None:
            runner.logger.warning(
                'the checkpoint holds no states of random generators: the '
                'resumed run draws other numbers than an uninterrupted one'
            )
            return
        model = unwrap(runner.model)
        if hasattr(model, 'distillation_stopped'):
            # Now: a hook that stops it may decide anew in `before_train`.
            model.distillation_stopped = self._saved['ranks'][0]['stopped']

    def before_train(self, runner: Runner) -> None:
        """Restore the states, once everything has been set up."""
        attend(runner.model, self)
        # Otherwise every start of workers draws from the global generator.
        runner.train_dataloader.generator = torch.Generator().manual_seed(
            runner.seed or 0
        )
        self._isolate_validation(runner)
        if self._saved is None:
            return
        ranks, size = self._saved['ranks'], self._saved['world_size']
        self._saved = None
        kind = _device(unwrap(runner.model)).type
        if (size, len(ranks), ranks[0]['device']) != (
            get_world_size(),
            get_world_size(),
            kind,
        ):
            runner.logger.warning(
                f'the checkpoint has the random generators of {len(ranks)} of '
                f'{size} processes on {ranks[0]["device"]}, this run has '
                f'{get_world_size()} on {kind}: they are seeded anew, and '
                'results differ from an uninterrupted run'
            )
            self._reseed(runner)
            return
        state = ranks[get_rank()]
        set_rng_states(state['global'])
        for name, source in noise_sources(unwrap(runner.model)):
            if name in state['noise']:
                source.set_state(state['noise'][name])

    def after_train(self, runner: Runner) -> None:
        """Leave the validation loop as it was."""
        if runner.val_loop is not None:
            vars(runner.val_loop).pop('run', None)

    def _isolate_validation(self, runner: Runner) -> None:
        """Hand the generators back as validation, with its hooks, got them."""
        if runner.val_loop is None:
            return
        run = runner.val_loop.run

        def isolated() -> Any:
            self._before_val = get_rng_states()
            try:
                return run()
            finally:
                set_rng_states(self._before_val)
                self._before_val = None

        # On the instance: no hook is both the first and the last.
        runner.val_loop.run = isolated

    def _state(self, runner: Runner) -> dict:
        model = unwrap(runner.model)
        return {
            # A checkpoint may be written during validation.
            'global': self._before_val or get_rng_states(),
            'noise': {
                name: source.state() for name, source in noise_sources(model)
            },
            'stopped': bool(getattr(model, 'distillation_stopped', False)),
            'device': _device(model).type,
        }

    def _reseed(self, runner: Runner) -> None:
        sequence = np.random.SeedSequence(
            [runner.seed or 0, get_rank(), runner.iter]
        )
        words = sequence.generate_state(4)
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.manual_seed(int(words[2]))
        model = unwrap(runner.model)
        for i, (_, source) in enumerate(noise_sources(model)):
            source.generator(_device(model)).manual_seed(int(words[3]) + i)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
