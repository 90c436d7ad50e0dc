# Copyright (c) mmdiffkd contributors.
"""The model of a config, built without weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmdiffkd.models.connectors.diffusion_connector import DiffusionConnector
from mmdiffkd.utils import UserError
from mmdiffkd.utils.distillation import has_student, is_distillation

from ..student_optim_wrapper import show_student_to_constructor
from ..sweep.untrained import untrained


def build(cfg: Config) -> tuple[Any, Config]:
    """Build a model whose weights are random, and whatever PyTorch draws.

    Args:
        cfg (Config): Of a distillation of this package, or of a plain model;
            it is left as it is.

    Returns:
        tuple[Any, Config]: The model, and the config that its optimizer is
        built from.

    Raises:
        UserError: If the config is of another algorithm, or trains its
            teacher.
    """
    if has_student(cfg) and not is_distillation(cfg):
        raise UserError(
            f'model.type {cfg.model.type} is an algorithm that estimate does '
            'not know; name the config of an mmdiffkd.FrozenTeacherDistill, '
            'or of a plain model'
        )
    if cfg.model.get('teacher_trainable'):
        raise UserError(
            'model.teacher_trainable=True trains the teacher, too; estimate '
            'counts frozen ones, and `mmdiffkd benchmark` measures both'
        )
    cfg = untrained(cfg)
    show_student_to_constructor(cfg)
    scope = cfg.get('default_scope')
    with _no_files(), DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(cfg.model), cfg


@contextmanager
def _no_files() -> Iterator[None]:
    """Let connectors leave the files of their diffusion models unread."""
    named = DiffusionConnector.named

    def noted(connector: DiffusionConnector, name: str) -> None:
        connector._name = name

    DiffusionConnector.named = noted  # type: ignore
    try:
        yield
    finally:
        DiffusionConnector.named = named  # type: ignore[method-assign]
