# Copyright (c) mmdiffkd contributors.
"""Build a teacher from its config and load its weights, all of them."""

import copy
import importlib
import os.path as osp
import pickle
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import BaseModel, BaseModule
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmrazor.registry import MODELS
from torch import Tensor, nn

from mmdiffkd.utils import UserError, isolated_rng
from mmdiffkd.utils.checkpoints.files import refuse_folder, unreadable
from mmdiffkd.utils.checkpoints.student import student_weights
from mmdiffkd.utils.checkpoints.weights import load_fitting
from mmdiffkd.utils.configs.own_configs import link_own_configs
from mmdiffkd.utils.distillation import move_preprocessor_into_model

from .teacher_options import silent_options

RANDOM_TEACHER = (
    'the teacher has random weights: set model.teacher_ckpt to a '
    'checkpoint of the trained teacher (or, to try something out, '
    'model.allow_random_teacher=True)'
)
"""What training with such a teacher is told."""


class BuiltTeacher(NamedTuple):
    """A teacher, and what its config says of it.

    Attributes:
        model (BaseModel): The teacher, with random weights.
        checkpoint (str, optional): What the config names: that of the zoo,
            or ``init_cfg`` of type ``Pretrained`` of the model.
        own_input (bool): Whether it says how images are normalised.
        silent_options (list[str]): Options that may change what it computes
            and fit any checkpoint, see
            :func:`~.teacher_options.silent_options`.
    """

    model: BaseModel
    checkpoint: str | None
    own_input: bool
    silent_options: Sequence[str] = ()


def build_teacher(cfg: dict[str, Any]) -> BuiltTeacher:
    """Build a teacher, with random weights.

    Args:
        cfg (dict): Either a model config with ``type``, or
            ``dict(cfg_path=..., cfg_options=..., pretrained=False)``, where
            ``cfg_path`` is a file or ``scope::path`` (``mmdet::...``),
            ``cfg_options`` overrides leaves of that config, with keys such
            as ``model.bbox_head.num_classes``, and ``pretrained=True`` takes
            the checkpoint that the library's model zoo names for it.

    Returns:
        BuiltTeacher: The teacher, a checkpoint if the config names one,
        whether it has a ``data_preprocessor``, and the options to know of.

    Raises:
        UserError: If the config does not exist or an option fits nothing.
    """
    if 'type' in cfg or 'cfg_path' not in cfg:
        return BuiltTeacher(
            MODELS.build(cfg), named_checkpoint(cfg), _has_preprocessor(cfg)
        )

    cfg = dict(cfg)
    path = cfg.pop('cfg_path')
    if not isinstance(path, str):
        raise UserError(
            f"teacher: cfg_path must be a file or 'mmdet::...', got {path!r}"
        )
    config = _read_config(path, cfg.pop('pretrained', False))
    stock = copy.deepcopy(config)
    options = _checked(cfg.pop('cfg_options', None) or {})
    _override(config, options, path)
    if 'model' not in config:
        raise UserError(f"teacher config '{path}' defines no model")
    for key, value in cfg.items():
        if key in config.model:
            # MMRazor would ignore it without a word.
            raise UserError(
                f'teacher: {key} is set by {path} itself; to override it, '
                f"write cfg_options={{'model.{key}': ...}}"
            )
        config.model[key] = value
        options[f'model.{key}'] = value
    teacher = build_stock(config)
    with isolated_rng():  # what is built next starts as without options
        silent = silent_options(options, stock, config, teacher, build_stock)
    return BuiltTeacher(
        teacher,
        config.get('model_path') or named_checkpoint(config.model),
        _has_preprocessor(config.model),
        silent,
    )


def build_stock(config: Config) -> BaseModel:
    """Build the model of a stock config, with random weights."""
    move_preprocessor_into_model(config)
    scope = config.get('default_scope') or _current_scope()
    with DefaultScope.overwrite_default_scope(scope):
        if scope is not None:
            library = importlib.import_module(f'{scope}.utils')
            if hasattr(library, 'register_all_modules'):
                library.register_all_modules(init_default_scope=False)
        return MODELS.build({'_scope_': scope, **config.model})


def load_teacher(teacher: nn.Module, checkpoint: str) -> None:
    """Load all weights of a teacher.

    A distilled student may teach: the prefix ``architecture.`` of a
    distillation checkpoint is understood.

    Args:
        teacher (nn.Module): The model, changed in place.
        checkpoint (str): File or URL.

    Raises:
        UserError: If it cannot be read, or if it leaves any parameter or
            buffer of the teacher as it was.
    """
    missing, wrong = load_fitting(teacher, _read_state_dict(checkpoint))
    if missing or wrong:
        problems = [f'missing: {key}' for key in missing] + [
            f'of another shape: {line}' for line in wrong
        ]
        raise UserError(
            f'teacher checkpoint {checkpoint} does not fit the teacher '
            f'{type(teacher).__name__}: of its {len(teacher.state_dict())} '
            f'weights, {len(missing)} are missing and {len(wrong)} differ in '
            f'shape.{_listing(problems)}\nCheck that model.teacher and '
            'model.teacher_ckpt belong together; a teacher of another number '
            'of classes needs teacher.cfg_options'
        )
    # MMEngine must not initialise what has been loaded.
    for module in teacher.modules():
        if isinstance(module, BaseModule):
            module._is_init = True


def _read_config(path: str, pretrained: bool) -> Config:
    try:
        if '::' in path:
            if path.startswith('mmdiffkd::'):
                link_own_configs()
            return get_config(path, pretrained)
        if pretrained:
            raise UserError(
                f'teacher: pretrained=True needs a cfg_path such '
                f"as 'mmdet::...', got '{path}'; set teacher_ckpt"
            )
        return Config.fromfile(path)
    except UserError:
        raise
    # A ValueError: what is no name at all, such as 'mmdet::a.py'.
    except (FileNotFoundError, AssertionError, ValueError) as error:
        raise UserError(
            f"teacher: cfg_path '{path}' cannot be read: {error}"
        ) from error


def _override(config: Config, options: dict[str, Any], path: str) -> None:
    for option in options:
        top = option.split('.')[0]
        if top not in config:
            hint = get_close_matches(top, list(config), n=1)
            if top in config.get('model', {}):
                hint = [f'model.{top}']
            raise UserError(
                f"teacher: cfg_options key '{option}' fits nothing in {path}"
                + (f"; did you mean '{hint[0]}'?" if hint else '')
            )
    try:
        config.merge_from_dict(options)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f'teacher: cfg_options {options} cannot be set in {path}: '
            f'{type(error).__name__}: {error}'
        ) from error


def _checked(options: Any) -> dict[str, Any]:
    """Options by dotted names, or an error."""
    try:
        checked = dict(options)
    except (TypeError, ValueError):
        checked = {None: None}
    if not all(isinstance(name, str) for name in checked):
        raise UserError(
            'teacher: cfg_options must be a dict with dotted names, such as '
            f"{{'model.backbone.depth': 18}}, got {options!r}"
        )
    return checked


def named_checkpoint(model_cfg: dict[str, Any]) -> str | None:
    """The checkpoint that a model's own config names."""
    init_cfg = model_cfg.get('init_cfg')
    if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
        return init_cfg.get('checkpoint')
    return None


def _has_preprocessor(model_cfg: dict[str, Any]) -> bool:
    return model_cfg.get('data_preprocessor') is not None


def _current_scope() -> str | None:
    scope = DefaultScope.get_current_instance()
    return None if scope is None else scope.scope_name


def _read_state_dict(checkpoint: str) -> dict[str, Tensor]:
    refuse_folder(checkpoint, 'model.teacher_ckpt:')
    if '://' not in checkpoint and not osp.isfile(checkpoint):
        raise UserError(
            f"teacher checkpoint '{checkpoint}' does not exist; set "
            'model.teacher_ckpt to the trained teacher'
        )
    try:
        content = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu', logger='silent'
        )
    except (
        RuntimeError,
        EOFError,
        OSError,
        pickle.UnpicklingError,
        KeyError,
        ValueError,
    ) as error:
        why = (
            unreadable(checkpoint, error)
            if osp.isfile(checkpoint)
            else (
                f'{checkpoint}: {type(error).__name__}: {error}; download it '
                'yourself and name the file'
            )
        )
        raise UserError(f'the teacher cannot be read: {why}') from error
    state = (
        content.get('state_dict', content)
        if isinstance(content, dict)
        else None
    )
    if not isinstance(state, dict) or not any(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise UserError(f"teacher checkpoint '{checkpoint}' holds no weights")
    try:
        return student_weights(content)  # a distilled student may teach
    except UserError as error:
        raise UserError(
            f"teacher checkpoint '{checkpoint}': {error}"
        ) from error


def _listing(lines: list[str], limit: int = 6) -> str:
    shown = ''.join(f'\n  {line}' for line in lines[:limit])
    rest = len(lines) - limit
    return shown + (f'\n  and {rest} more' if rest > 0 else '')
