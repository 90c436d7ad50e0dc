# Copyright (c) mmdiffkd contributors.
"""A config whose models are built without any weights of others."""

from collections.abc import Iterator, Mapping

from mmengine.config import Config

from mmdiffkd.pairing.named import read_named
from mmdiffkd.utils.configs.weights import without_weights
from mmdiffkd.utils.distillation import (
    has_student,
    is_distillation,
    move_preprocessor_into_model,
)


def untrained(cfg: Config) -> Config:
    """Let a training start from random weights, a distillation on both sides.

    Args:
        cfg (Config): Of a distillation, of this package or of MMRazor, or of
            a plain model.

    Returns:
        Config: A copy, whose model has the preprocessor that a Runner would
        give it.
    """
    cfg = Config(cfg._cfg_dict.to_dict())
    cfg.load_from = None
    move_preprocessor_into_model(cfg)
    if not has_student(cfg):
        cfg.model = without_weights(cfg.model)
        return cfg
    model = cfg.model
    for part in ('architecture', 'teacher'):
        if part in model:
            model[part] = without_weights(model[part])
    model.pop('teacher_ckpt', None)
    model.pop('init_cfg', None)
    if is_distillation(cfg):
        model.allow_random_teacher = True
        path = model.teacher.get('cfg_path')
        source = read_named(path, 'teacher').config if path else Config()
        absent = dict(_weights(source.get('model', {}), 'model'))
        if absent:
            options = dict(model.teacher.get('cfg_options') or {})
            model.teacher.cfg_options = options | absent
    return cfg


def _weights(part: Mapping, path: str) -> Iterator[tuple[str, None]]:
    """Keys that name weights of the whole: ``init_cfg``, a checkpoint."""
    kept = without_weights(part)
    for key in part:
        if (key == 'init_cfg' and part[key]) or key not in kept:
            yield f'{path}.{key}', None
