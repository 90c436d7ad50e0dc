# Copyright (c) mmdiffkd contributors.
"""Checkpoints that a killed run cannot lose."""

import glob
import os
import os.path as osp
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdiffkd.engine.checks.resumed_checkpoint import check_belonging
from mmdiffkd.engine.latest_checkpoint import NOTE, latest_checkpoint
from mmdiffkd.registry import HOOKS
from mmdiffkd.utils.checkpoints.atomic import (
    TEMPORARY,
    replace_durably,
    write_text_durably,
)
from mmdiffkd.utils.distillation import attend


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, safe against being killed at any moment.

    * A checkpoint gets its name, in one step, when all of it is on the disk;
      then ``last_checkpoint`` is replaced likewise; only then older ones are
      removed. So is the best checkpoint (``save_best``).
    * A run resumed without a file's name (``resume=True``) takes the latest
      checkpoint that is whole, and says which ones it skipped. It refuses
      the checkpoint of another model or kind of optimizer.
    * The checkpoint of an iteration is written again after its validation,
      so that what the validation changed (the best score, a plateau
      scheduler) is in it.
    * Before a checkpoint is written, every hook with a method
      ``gather_state(runner)`` may collect what only other ranks know.

    On storage other than a local file system, where files cannot be renamed,
    the order still holds.

    Args:
        *args: As for MMEngine's ``CheckpointHook``.
        **kwargs: Likewise.
    """

    file_backend: Any
    keep_ckpt_ids: deque[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saved: dict[str, int] | None = None
        self._saved_name = ''
        self._saved_whole = False

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, if none was named."""
        if runner._resume and runner._load_from is None:
            runner._load_from = latest_checkpoint(runner.work_dir)
            if runner._load_from is None:
                runner._resume = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse the checkpoint of another model."""
        check_belonging(runner, checkpoint)
        # Which is the latest then, if the run is resumed.
        self._saved_whole = (
            isinstance(checkpoint, dict) and 'optimizer' in checkpoint
        )

    def before_train(self, runner: Runner) -> None:
        """As MMEngine's, and clean up after an earlier run."""
        attend(runner.model, self)
        super().before_train(runner)
        if runner._resume:
            self._saved = dict(epoch=runner.epoch, iter=runner.iter)
            self._saved_name = osp.basename(runner._load_from or '')
        if not is_main_process():
            return
        if not runner._resume:
            # It names a checkpoint of another run, which this one replaces.
            _remove(osp.join(runner.work_dir, NOTE))
        if self._is_local:
            for path in glob.glob(
                glob.escape(str(self.out_dir)) + '/*.pth' + TEMPORARY
            ):
                _remove(path)

    @property
    def _is_local(self) -> bool:
        return isinstance(self.file_backend, LocalBackend)

    def saved_at(self, iteration: int, whole: bool = False) -> bool:
        """Whether the latest checkpoint is of this many iterations.

        Args:
            iteration (int): Completed iterations.
            whole (bool): Whether it must hold all that a training needs to go
                on. Defaults to False.
        """
        return (
            self._saved is not None
            and self._saved['iter'] == iteration
            and (self._saved_whole or not whole)
        )

    def save_between(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Save where no checkpoint is due; called on all ranks.

        The file is called ``iter_N.pth``, and is removed after the next
        regular checkpoint. It is there to go on from, and holds the states of
        optimizer and schedulers whatever ``save_optimizer`` says.

        Args:
            runner (Runner): The runner.
            epoch (int): Completed epochs.
            iteration (int): Completed iterations.
        """
        meta = dict(epoch=epoch, iter=iteration)
        if not self.by_epoch:
            self._save_checkpoint_with_step(
                runner, iteration, meta, whole=True
            )
            return
        name = f'iter_{iteration}.pth'
        runner.message_hub.update_info('interim_checkpoint', name)
        self._write(runner, name, meta, whole=True)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict, whole: bool = False
    ) -> None:
        expired: list[int] = []
        if self.max_keep_ckpts > 0:
            ids = [i for i in self.keep_ckpt_ids if i != step] + [step]
            expired = ids[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(
                ids[len(expired) :], self.max_keep_ckpts
            )
            # The checkpoint names those that are removed after it, so that
            # they are removed on resuming if the run is killed before.
            runner.message_hub.update_info('keep_ckpt_ids', ids)
        self._write(runner, self.filename_tmpl.format(step), meta, whole)

        names = [self.filename_tmpl.format(i) for i in expired]
        hub = runner.message_hub
        if 'interim_checkpoint' in hub.runtime_info:
            names.append(hub.pop_info('interim_checkpoint'))
        if is_main_process():
            for name in set(names) - {self._saved_name}:
                _remove(
                    self.file_backend.join_path(self.out_dir, name),
                    self.file_backend,
                )
        if self.max_keep_ckpts > 0:
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _write(
        self, runner: Runner, name: str, meta: dict, whole: bool = False
    ) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        note = osp.join(runner.work_dir, NOTE)
        if is_main_process() and not osp.exists(note):
            # Killed before the first checkpoint has its name, the run must
            # not leave one that nothing names.
            write_text_durably(note, self.last_ckpt)
        _Saver.of(runner, self._is_local).save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=whole or self.save_optimizer,
            save_param_scheduler=whole or self.save_param_scheduler,
            meta=dict(meta),
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_text_durably(note, self.last_ckpt)
        self._saved, self._saved_name = dict(meta), name
        self._saved_whole = whole or (
            self.save_optimizer and self.save_param_scheduler
        )

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, and what the validation changed."""
        if not hasattr(self, 'file_backend'):  # validation on its own
            super().after_val_epoch(runner, metrics)
            return
        before = self._saved
        with self._removal_at_the_end():
            super().after_val_epoch(_Saver.of(runner, self._is_local), metrics)
        if (
            self._saved is before
            and self.saved_at(runner.iter)
            and (
                runner.message_hub.get_info('interim_checkpoint', '')
                != self._saved_name
            )
        ):
            step = runner.epoch if self.by_epoch else runner.iter
            self._save_checkpoint_with_step(
                runner, step, dict(epoch=runner.epoch, iter=runner.iter)
            )

    @contextmanager
    def _removal_at_the_end(self) -> Iterator[None]:
        """Keep the previous best checkpoint until its successor is there.

        MMEngine removes it first.
        """
        backend = self.file_backend
        self.file_backend = _LateRemoval(backend)
        try:
            yield
            best = {str(getattr(self, 'best_ckpt_path', None))}
            best.update(
                map(str, getattr(self, 'best_ckpt_path_dict', {}).values())
            )
            for path in self.file_backend.removed:
                if str(path) not in best:
                    _remove(path, backend)
        finally:
            self.file_backend = backend


class _Saver:
    """A runner whose ``save_checkpoint`` replaces the file in one step.

    Args:
        runner (Runner): Everything else is its own.
        local (bool): Whether files can be renamed.
    """

    def __init__(self, runner: Runner, local: bool) -> None:
        self._runner = runner
        self._local = local

    @classmethod
    def of(cls, runner: Any, local: bool) -> '_Saver':
        return runner if isinstance(runner, cls) else cls(runner, local)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        runner = self._runner
        for hook in runner.hooks:
            if hasattr(hook, 'gather_state'):
                hook.gather_state(runner)
        if not self._local:
            runner.save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        temporary = filename + TEMPORARY
        runner.save_checkpoint(out_dir, temporary, *args, **kwargs)
        if is_main_process():
            replace_durably(
                osp.join(out_dir, temporary), osp.join(out_dir, filename)
            )


class _LateRemoval:
    """A file backend that only notes what it is asked to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    rmtree = remove


def _remove(path: str, backend: Any = None) -> None:
    """Remove a file or folder, if it is there."""
    if backend is not None:
        if backend.isfile(path):
            backend.remove(path)
        elif backend.isdir(path):
            backend.rmtree(path)
    elif osp.isdir(path):
        shutil.rmtree(path)
    elif osp.lexists(path):
        os.unlink(path)
