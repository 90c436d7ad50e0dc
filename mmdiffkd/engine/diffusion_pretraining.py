# Copyright (c) mmdiffkd contributors.
"""From the config of a distillation to a training of its diffusion models."""

import copy
import os.path as osp
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmdiffkd.diffusion.pretrained import diffusion_file
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.files import (
    read_checkpoint,
    write_checkpoint,
)
from mmdiffkd.utils.distillation import (
    is_distillation,
    move_preprocessor_into_model,
    unwrap,
)

KEPT = (
    'default_scope',
    'custom_imports',
    'train_dataloader',
    'env_cfg',
    'log_level',
    'randomness',
    'work_dir',
    'reliable',
)
"""Keys of the distillation's config that hold for its diffusion models; its
optimizer, schedule and hooks are the student's."""

OF_A_FILE = ('diffusion_ckpt', 'freeze_diffusion')
"""Keys that name what is being made here."""


def pretraining_config(cfg: Config, iters: int, lr: float) -> Config:
    """The config that trains what a distillation knows of its teacher alone.

    AdamW without weight decay, a tenth of the iterations (at most 200) to
    warm up, then a cosine to 0, unless nothing is left for it.

    Args:
        cfg (Config): Of a distillation; left as it is.
        iters (int): Iterations, at least 1.
        lr (float): Learning rate at its peak, more than 0.

    Returns:
        Config: For MMEngine's ``Runner``.

    Raises:
        UserError: If ``cfg`` is no distillation of this package, or a number
            is out of range.
    """
    if not is_distillation(cfg):
        raise UserError(
            'the config is no distillation with mmdiffkd.FrozenTeacherDistill;'
            ' give the config that the diffusion models are for'
        )
    if iters < 1 or not 0 < lr < float('inf'):
        raise UserError(
            f'--iters must be at least 1 and --lr more than 0, got {iters} '
            f'and {lr}'
        )
    cfg = copy.deepcopy(cfg)
    move_preprocessor_into_model(cfg)
    distillation = cfg.model.to_dict()
    _drop(distillation.get('distiller'), OF_A_FILE)
    kept = {key: cfg[key] for key in KEPT if key in cfg}
    return Config(
        dict(
            kept,
            model=dict(
                type='mmdiffkd.DiffusionPretraining',
                distillation=distillation,
            ),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=lr, weight_decay=0.0),
                clip_grad=dict(max_norm=10.0),
            ),
            train_cfg=dict(
                type='IterBasedTrainLoop',
                max_iters=iters,
                val_interval=iters + 1,
            ),
            param_scheduler=_schedule(iters),
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=50),
                checkpoint=dict(
                    type='CheckpointHook',
                    by_epoch=False,
                    interval=max(iters // 10, 100),
                    max_keep_ckpts=1,
                ),
            ),
        )
    )


def _schedule(iters: int) -> list[dict[str, Any]]:
    warmup = min(max(iters // 10, 1), 200)
    rise = dict(
        type='LinearLR',
        start_factor=0.01,
        by_epoch=False,
        begin=0,
        end=warmup,
    )
    if iters == warmup:
        return [rise]
    fall = dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=warmup,
        end=iters,
        T_max=iters - warmup,
    )
    return [rise, fall]


def check_length(checkpoint: str, iters: int) -> None:
    """Check that a training to be resumed is as long as it was meant to be.

    MMEngine goes on with the checkpoint's schedule, whose learning rate has
    come to 0 where that ends.

    Args:
        checkpoint (str): Of a run of :func:`pretraining_config`.
        iters (int): Iterations that are asked for.

    Raises:
        UserError: If it was started with another number.
    """
    schedules = read_checkpoint(checkpoint).get('param_schedulers') or []
    ends = [state['end'] for state in schedules if 'end' in state]
    if ends and max(ends) != iters:
        raise UserError(
            f'--iters {iters}: the run of {checkpoint} was started with '
            f'{max(ends)}, and its learning rate ends there. Resume it with '
            f'--iters {max(ends)}, or start anew in another --work-dir'
        )


def _drop(cfg: Any, keys: tuple[str, ...]) -> None:
    """Remove keys at any depth."""
    if isinstance(cfg, dict):
        for key in keys:
            cfg.pop(key, None)
        for value in cfg.values():
            _drop(value, keys)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            _drop(value, keys)


def save_diffusion(runner: Runner, out: str, **meta: Any) -> dict[str, float]:
    """Write the file that ``diffusion_ckpt`` names, whole or not at all.

    Args:
        runner (Runner): Of :func:`pretraining_config`, at its end.
        out (str): The file; the main process writes it.
        **meta: Plain values to keep in it.

    Returns:
        dict[str, float]: Mean ``loss_diff`` of the last 50 iterations by
        connector.

    Raises:
        UserError: If a weight is not finite, or the file cannot be written;
            nothing is.
    """
    model: Any = unwrap(runner.model)
    for name, value in model.diffusion.state_dict().items():
        if not torch.isfinite(value).all():
            raise UserError(
                f'{name} is not finite: the training diverged, and {out} was '
                'not written; lower --lr'
            )
    losses = {
        name: float(
            runner.message_hub.get_scalar(f'train/{name}.loss_diff').mean(50)
        )
        for name in model.diffusion_models
    }
    if is_main_process():
        content = diffusion_file(
            model.diffusion_models,
            iterations=runner.iter,
            loss_diff=losses,
            **meta,
        )
        try:
            write_checkpoint(content, osp.abspath(out))
        # The second is PyTorch's, of a disk that is full.
        except (OSError, RuntimeError) as error:
            raise UserError(
                f'--out {out} could not be written: {error}. The training is '
                'not lost: the same command with --resume --out ANOTHER '
                'writes its diffusion models without training again'
            ) from error
    return losses
