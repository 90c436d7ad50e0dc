# Copyright (c) mmdiffkd contributors.
"""A distillation as a training has left it."""

import copy

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmdiffkd.models import FrozenTeacherDistill
from mmdiffkd.utils.checkpoints.files import read_checkpoint
from mmdiffkd.utils.checkpoints.weights import load_fitting
from mmdiffkd.utils.distillation import (
    is_distillation,
    move_preprocessor_into_model,
)
from mmdiffkd.utils.errors import UserError

DISTILLER = 'distiller.'


def load_distillation(
    cfg: Config, checkpoint: str, device: str | torch.device = 'cpu'
) -> FrozenTeacherDistill:
    """Build a distillation, and load student and distiller.

    The teacher's weights are those that the config names. The default scope
    of MMEngine becomes the config's. Of a run with averaged weights
    (``EMAHook``) the averaged ones are taken.

    Args:
        cfg (Config): Of the training; left as it is.
        checkpoint (str): A file of that training.
        device (str | torch.device): Where to run it. Defaults to ``'cpu'``.

    Returns:
        FrozenTeacherDistill: In eval mode.

    Raises:
        UserError: If the config is no distillation of this package, or the
            checkpoint is not one of its training.
    """
    if not is_distillation(cfg):
        raise UserError(
            'the config is no distillation with mmdiffkd.FrozenTeacherDistill:'
            ' without a teacher there is nothing to compare'
        )
    content = read_checkpoint(checkpoint)
    state = dict(content.get('state_dict', content))
    cfg = copy.deepcopy(cfg)
    move_preprocessor_into_model(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    model = MODELS.build(cfg.model)
    own = [key for key in model.state_dict() if key.startswith(DISTILLER)]
    if own and not any(str(key).startswith(DISTILLER) for key in state):
        raise UserError(
            f'{checkpoint} holds a student alone: name a checkpoint of its '
            'distillation, such as epoch_12.pth; student_last.pth and '
            'exported files have no connectors'
        )
    missing, wrong = load_fitting(model, state)
    foreign = [
        key for key in state if key.startswith(DISTILLER) and key not in own
    ]
    for keys, what in (
        (wrong, 'of another shape'),
        (missing, 'not in it'),
        (foreign, 'in it, but not in the model'),
    ):
        if keys:
            raise UserError(
                f'{checkpoint} is no checkpoint of this config: {len(keys)} '
                f'weights are {what}, such as {keys[0]}'
            )
    return model.to(device).eval()
