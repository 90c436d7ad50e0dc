# Copyright (c) mmdiffkd contributors.
"""The models of a recipe, built from its config with random weights."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import MODELS, DefaultScope
from mmrazor.registry import MODELS as RAZOR_MODELS
from torch import nn

from mmdiffkd.utils.distillation import has_student
from mmdiffkd.utils.errors import UserError

from .. import named_config
from ..student_optim_wrapper import show_student_to_constructor
from ..sweep.untrained import untrained


def read(name: str, options: Mapping | None = None) -> Config:
    """Read a config as :func:`~..named_config.read` does.

    Raises:
        UserError: As there, or if the student has no loss of its own.
    """
    cfg = named_config.read(name, options)
    if has_student(cfg) and not cfg.model.get('calculate_student_loss', True):
        raise UserError(
            f'{name}: model.calculate_student_loss is False; there is no '
            "floor then, which is a step of the student's own losses. Leave "
            'it out for the benchmark'
        )
    return cfg


def build(cfg: Config) -> tuple[BaseModel, Config]:
    """Build the model of a training, with random weights on all sides.

    Args:
        cfg (Config): From :func:`read`; left as it is.

    Returns:
        tuple[BaseModel, Config]: The model in training mode, and a config
        whose optimizer fits it.
    """
    cfg = untrained(cfg)
    show_student_to_constructor(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(cfg.model)
        _initialise(model)
        teacher = getattr(model, 'teacher', None)
        if isinstance(teacher, nn.Module) and 'teacher' not in model._modules:
            _initialise(teacher)
    model.train()  # which of MMRazor's returns nothing
    return model, cfg


def build_student(cfg: Config) -> tuple[BaseModel, Config]:
    """Build the student of a distillation as it is trained alone.

    Args:
        cfg (Config): From :func:`read`; left as it is.

    Returns:
        tuple[BaseModel, Config]: As of :func:`build`.

    Raises:
        UserError: If the config is no distillation.
    """
    if not has_student(cfg):
        raise UserError(
            f'{cfg.filename} is no distillation: its model has no '
            'architecture. Name the config of a distillation first, and '
            'others behind --against'
        )
    cfg = untrained(cfg)
    whole = cfg.model
    student = copy.deepcopy(whole.architecture)
    beside = whole.get('data_preprocessor')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        if 'type' in student and beside is not None:
            student.setdefault('data_preprocessor', beside)
        model = RAZOR_MODELS.build(student)
        if type(model.data_preprocessor) is BaseDataPreprocessor and beside:
            # A student by cfg_path takes MMRazor's.
            model.data_preprocessor = RAZOR_MODELS.build(beside)
        _initialise(model)
    model.train()
    return model, cfg


def student_of(model: Any) -> BaseModel:
    """The student in a distillation, or the plain model itself."""
    return getattr(model, 'architecture', model)


def teacher_of(model: Any) -> nn.Module | None:
    """The teacher in a distillation, if there is one."""
    return getattr(model, 'teacher', None)


def distiller_of(model: Any) -> nn.Module | None:
    """The distiller in a distillation, if there is one."""
    return getattr(model, 'distiller', None)


def _initialise(model: Any) -> None:
    """Draw all weights at random; some layers leave theirs to this."""
    for module in model.modules():
        init = getattr(module, 'init_cfg', None)
        if init:
            several = init if isinstance(init, (list, tuple)) else [init]
            module.init_cfg = [
                one
                for one in several
                if one.get('type') != 'Pretrained' and 'checkpoint' not in one
            ] or None
    model.init_weights()
