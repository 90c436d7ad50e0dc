# Copyright (c) mmdiffkd contributors.
"""Write the plain student whenever a training checkpoint is written."""

import os.path as osp
import re
import time
from typing import Any

import mmengine
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu

from mmdiffkd.registry import HOOKS
from mmdiffkd.utils import isolated_rng
from mmdiffkd.utils.checkpoints.atomic import write_text_durably
from mmdiffkd.utils.checkpoints.export import (
    check_fit,
    plain_checkpoint,
    plain_config,
)
from mmdiffkd.utils.checkpoints.files import write_checkpoint
from mmdiffkd.utils.distillation import attend, unwrap

BEST = re.compile(r'best_ckpt(?:_(.+))?')


@HOOKS.register_module()
class StudentCheckpointHook(Hook):
    """Keep plain student checkpoints beside the training checkpoints.

    In the work dir:

    * ``student_last.pth``, anew each time that MMEngine's ``CheckpointHook``
      writes a training checkpoint, and at the end of the training.
    * ``student_best.pth``, anew each time that it writes a best one
      (``save_best``); ``student_best_<metric>.pth`` if it keeps the best by
      several metrics.
    * ``student_last.py``, the student's plain config, whose ``load_from``
      is ``student_last.pth``.

    Each file is replaced in one step: a reader, or a run that is killed,
    finds the old or the new one, whole. The files hold tensors and plain
    values only, averaged weights if an ``EMAHook`` is on, and ``meta`` holds
    the student's config and ``dataset_meta``. So the stock libraries open
    them without this package: ``DetInferencer(weights='student_last.pth')``,
    ``MMSegInferencer(None, weights='student_last.pth')``,
    ``ImageClassificationInferencer('student_last.py')``.

    Before the first file is written, the weights are loaded strictly into a
    student built from the config.
    """

    # Behind CheckpointHook, which is VERY_LOW.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Remember what is resumed from."""
        attend(runner.model, self)
        self._cfg = plain_config(runner.cfg)
        self._seen = self._noted(runner)
        self._last_iter: int | None = None
        self._checked = False

    def after_train_epoch(self, runner: Runner) -> None:
        """Follow a checkpoint of the epoch."""
        self._follow(runner, runner.epoch + 1, runner.iter)

    def after_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Follow a checkpoint of the iteration."""
        self._follow(runner, runner.epoch, runner.iter + 1)

    def after_val_epoch(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Follow a best checkpoint."""
        self._follow(runner, runner.epoch, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Write the student of the last iteration."""
        if self._last_iter != runner.iter and is_main_process():
            self._write(runner, 'last', runner.epoch, runner.iter)

    @staticmethod
    def _noted(runner: Runner) -> dict[str, Any]:
        """Paths of the checkpoints that `CheckpointHook` has noted."""
        noted = runner.message_hub.runtime_info
        return {
            key: noted[key]
            for key in noted
            if key == 'last_ckpt' or BEST.fullmatch(key)
        }

    def _follow(self, runner: Runner, epoch: int, iteration: int) -> None:
        if not is_main_process():
            return
        noted = self._noted(runner)
        for key, path in noted.items():
            if path == self._seen.get(key):
                continue
            best = BEST.fullmatch(key)
            if best is None:
                name = 'last'
            else:
                metric = best.group(1)
                name = 'best' + (f'_{metric}' if metric else '')
            self._write(runner, name.replace('/', '_'), epoch, iteration)
        self._seen = noted

    def _write(
        self, runner: Runner, name: str, epoch: int, iteration: int
    ) -> None:
        model = unwrap(runner.model)
        meta = dict(
            epoch=epoch,
            iter=iteration,
            seed=runner.seed,
            experiment_name=runner.experiment_name,
            time=time.strftime('%Y%m%d_%H%M%S'),
            mmengine_version=mmengine.__version__,
            dataset_meta=getattr(
                runner.train_dataloader.dataset, 'metainfo', None
            ),
        )
        checkpoint = dict(
            meta=meta, state_dict=weights_to_cpu(model.state_dict())
        )
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.before_save_checkpoint(runner, checkpoint)
        plain = plain_checkpoint(checkpoint, self._cfg)
        if not self._checked:
            with isolated_rng():
                check_fit(plain['state_dict'], self._cfg, 'this run')
            self._checked = True
        path = osp.join(runner.work_dir, f'student_{name}.pth')
        write_checkpoint(plain, path)
        runner.logger.info(f'wrote the plain student to {path}')
        if name == 'last':
            self._last_iter = iteration
            # `fileDirname` is MMEngine's: the folder may be moved.
            text = (
                "load_from = '{{ fileDirname }}/student_last.pth'\n"
                + self._cfg.pretty_text
            )
            write_text_durably(
                osp.join(runner.work_dir, 'student_last.py'), text
            )
