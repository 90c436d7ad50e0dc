# Copyright (c) mmdiffkd contributors.
"""The training loop goes on with the very next batch."""

from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdiffkd.registry import HOOKS

KEY = 'loop_state'
"""Where it is in a checkpoint."""


@HOOKS.register_module()
class LoopStateHook(Hook):
    """Resume inside an epoch, without loading the data that was seen before.

    A checkpoint remembers how many batches of its epoch were done, and
    whether its validation was. A resumed run

    * leaves these batches out where their indices are drawn, so that no image
      is loaded for them, in epoch-based and iteration-based loops (MMEngine
      starts the epoch anew, or loads everything again);
    * shuffles with the seed of the run that it continues;
    * first runs the validation that was due.

    Gradients that are being accumulated are not in a checkpoint: it warns of
    one that is written before they are used.

    Data order is exact for the samplers of MMEngine, and for any other under
    :class:`~mmdiffkd.datasets.seeded_sampler.SeededSampler`.
    """

    # Before the hooks that change the best score, and those that save.
    priority = 'ABOVE_NORMAL'

    def __init__(self) -> None:
        self._batches = 0
        self._validated = False
        self._saved: dict | None = None
        self._skip = 0
        self._warned = False

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Count the batch; checkpoints are written after it."""
        self._batches = batch_idx + 1
        self._validated = False

    def before_val(self, runner: Runner) -> None:
        """An epoch is over, and the next has not begun."""
        self._batches = 0

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Validation is done, if checkpoints are written from now on."""
        self._validated = True

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the position to a checkpoint."""
        loader = runner.train_dataloader
        epoch_done = checkpoint['meta']['epoch'] > runner.epoch
        checkpoint[KEY] = dict(
            batches=0 if epoch_done else self._batches,
            batches_per_epoch=len(loader),
            world_size=get_world_size(),
            sampler_seed=getattr(_sampler(loader), 'seed', None),
            validated=self._validated,
        )
        if is_accumulating(runner) and not self._warned:
            self._warned = True
            runner.logger.warning(
                'a checkpoint was written between two steps of the optimizer, '
                'which accumulates gradients: they are lost on resuming. Let '
                'optim_wrapper.accumulative_counts divide the iterations '
                'between checkpoints'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the position of a run that is resumed."""
        if runner._resume:
            self._saved = checkpoint.get(KEY)

    def before_train(self, runner: Runner) -> None:
        """Set the loop to the position."""
        saved = self._saved
        if saved is None:
            return
        loop = runner.train_loop
        _restart(_sampler(loop.dataloader), saved['sampler_seed'])
        self._validated = saved['validated']
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = _ResumedIterator(loop)
            return
        self._skip = saved['batches']
        length = len(loop.dataloader)
        if self._skip and length != saved['batches_per_epoch']:
            self._skip = self._skip * length // saved['batches_per_epoch']
            runner.logger.warning(
                f'an epoch had {saved["batches_per_epoch"]} iterations when '
                f'the checkpoint was written and has {length} now: resuming '
                f'after {self._skip}, not exactly where it was'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate if that was due; leave out what was done of the epoch."""
        self._validate_if_due(runner)
        skip, self._skip = self._skip, 0
        if not skip:
            return
        loop = runner.train_loop
        runner.logger.info(f'resuming after batch {skip} of the epoch')
        _batches(loop.dataloader).skip = skip
        run_iter = loop.run_iter
        # On the instance, for one epoch: hooks see the true batch numbers.
        loop.run_iter = lambda index, batch: run_iter(index + skip, batch)
        self._batches = skip

    def after_train_epoch(self, runner: Runner) -> None:
        """Let the loop count its batches itself again."""
        vars(runner.train_loop).pop('run_iter', None)

    def after_train(self, runner: Runner) -> None:
        """Validate if only that was left to do."""
        self._validate_if_due(runner)

    def _validate_if_due(self, runner: Runner) -> None:
        saved, self._saved = self._saved, None
        if saved is None or self._validated or runner.val_loop is None:
            return
        loop = runner.train_loop
        by_epoch = not hasattr(loop, 'dataloader_iterator')
        if by_epoch and saved['batches']:
            return
        done, total = (
            (loop.epoch, loop.max_epochs)
            if by_epoch
            else (loop.iter, loop.max_iters)
        )
        loop._decide_current_val_interval()  # as after the last epoch
        if done >= loop.val_begin and (
            done % loop.val_interval == 0 or done == total
        ):
            runner.logger.info(
                'validating the checkpoint that the run is '
                'resumed from, which had not been done'
            )
            # Whoever asks for the time is told what it was then.
            hub = runner.message_hub
            now = {key: hub.get_info(key) for key in ('epoch', 'iter')}
            hub.update_info('iter', runner.iter - 1)
            if by_epoch:
                hub.update_info('epoch', runner.epoch - 1)
            runner.val_loop.run()
            hub.update_info_dict(now)


class _ResumedIterator:
    """Stands in for the iterator of an iteration-based loop.

    The loop asks it for each batch that was done, and gets nothing, at once.

    Args:
        loop (IterBasedTrainLoop): Its iterator is dropped, with its workers.
    """

    def __init__(self, loop: Any) -> None:
        self._loader = loop.dataloader
        self._kind = type(loop.dataloader_iterator)
        self._done = self._asked = loop.iter
        self._iterator: Iterator | None = None
        loop.dataloader_iterator = None
        self._loader._iterator = None

    def __iter__(self) -> '_ResumedIterator':
        return self

    def __next__(self) -> Any:
        if self._asked:
            self._asked -= 1
            return None
        if self._iterator is None:
            self._iterator = self._advance()
        return next(self._iterator)

    def _advance(self) -> Iterator:
        """Draw the indices of the batches done; a finite sampler repeats."""
        batches = _batches(self._loader)
        epoch, left = 0, self._done
        while True:
            left -= batches.start(left)
            if not left:
                break
            epoch += 1
            sampler = _sampler(self._loader)
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(epoch)
        iterator = self._kind(self._loader)
        iterator._epoch = epoch
        return iterator


class _SkippingBatches:
    """A batch sampler that can begin in the middle.

    Args:
        batch_sampler (Iterable): The data loader's own; everything else is
            its.
    """

    def __init__(self, batch_sampler: Any) -> None:
        self.batch_sampler = batch_sampler
        self.skip = 0
        self._started: Iterator | None = None

    def __getattr__(self, name: str) -> Any:
        if name == 'batch_sampler':  # not yet, while being unpickled
            raise AttributeError(name)
        return getattr(self.batch_sampler, name)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def start(self, count: int) -> int:
        """Begin a pass and draw some batches of it; return how many."""
        self._started = iter(self.batch_sampler)
        for drawn in range(count):
            if next(self._started, None) is None:
                return drawn
        return count

    def __iter__(self) -> Iterator[list[int]]:
        if self.skip:
            self.start(self.skip)
            self.skip = 0
        batches = self._started
        self._started = None
        yield from iter(self.batch_sampler) if batches is None else batches


def is_accumulating(runner: Runner) -> bool:
    """Whether gradients are being summed, which no checkpoint holds."""
    wrapper = runner.optim_wrapper
    count = getattr(wrapper, '_accumulative_counts', 1)
    return count > 1 and not wrapper.should_update()


def _batches(loader: DataLoader) -> _SkippingBatches:
    """Put a :class:`_SkippingBatches` into a data loader, once."""
    # By its dictionary: a data loader refuses another sampler for fear of
    # one that was made for other arguments.
    key = 'sampler' if loader.batch_sampler is None else 'batch_sampler'
    if not isinstance(vars(loader)[key], _SkippingBatches):
        vars(loader)[key] = _SkippingBatches(vars(loader)[key])
    return vars(loader)[key]


def _sampler(loader: DataLoader) -> Any:
    """The sampler that shuffles."""
    inner = getattr(loader.batch_sampler, 'sampler', None)
    return loader.sampler if inner is None else inner


def _restart(sampler: Any, seed: int | None) -> None:
    """Make a sampler as if nothing had been drawn from it.

    Workers fetch ahead: an infinite one has lost some indices by now.
    """
    if hasattr(sampler, 'restart'):
        sampler.restart(seed)
        return
    if seed is not None and hasattr(sampler, 'seed'):
        sampler.seed = seed
    if hasattr(sampler, '_indices_of_rank'):  # InfiniteSampler
        sampler.indices = sampler._indices_of_rank()
