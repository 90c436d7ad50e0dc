# Copyright (c) mmdiffkd contributors.
"""Settings of a distillation that cost less."""

from collections.abc import Iterator, Mapping
from inspect import signature
from typing import Any, NamedTuple

from mmengine.config import Config
from torch import nn

from mmdiffkd.diffusion import TeacherDiffusion
from mmdiffkd.models.algorithms import FrozenTeacherDistill

HALF = 'bfloat16'
"""Precision of the teacher that is tried."""


class Setting(NamedTuple):
    """Keys of a config to change.

    Attributes:
        name (str): In a word or two.
        change (str): What it changes of the training.
        options (Mapping): Values by dotted names.
    """

    name: str
    change: str
    options: Mapping[str, Any]


def cheaper(cfg: Config, model: Any) -> list[Setting]:
    """List the cheaper settings that a config leaves open.

    Args:
        cfg (Config): Of a distillation.
        model (nn.Module): Built from it.

    Returns:
        list[Setting]: ``with_cp`` for all diffusion models,
        ``latent_channels`` of half the width for those of maps, the teacher
        in half precision, and all of them together; without those that are
        set already.
    """
    found = []
    cores = dict(_cores(model))
    recomputed = {
        f'{place}.with_cp': True
        for place, core in cores.items()
        if not core.with_cp
    }
    if recomputed:
        found.append(Setting('with_cp', 'time alone', recomputed))
    latents = {
        f'{place}.latent_channels': core.width // 2
        for place, core in cores.items()
        if getattr(core.denoiser, 'spatial', True) and core.width > 1
    }
    if latents:
        found.append(Setting('latent_channels / 2', 'the method', latents))
    known = signature(FrozenTeacherDistill.__init__).parameters
    if 'teacher_dtype' in known and cfg.model.get('teacher_dtype') is None:
        found.append(
            Setting(
                f'teacher_dtype={HALF}',
                'rounding',
                {'model.teacher_dtype': HALF},
            )
        )
    if len(found) > 1:
        options: dict[str, Any] = {}
        for setting in found:
            options.update(setting.options)
        found.append(Setting('all of them', 'all of that', options))
    return found


def _cores(model: Any) -> Iterator[tuple[str, Any]]:
    """Diffusion models by the place of their connector in the config."""
    for name, connector in model.distiller.connectors.items():
        core = _core(connector)
        if core is not None:
            # Also where `pairs` make it: these keys are merged over theirs.
            yield f'model.distiller.connectors.{name}', core


def _core(connector: nn.Module) -> TeacherDiffusion | None:
    return next(
        (m for m in connector.modules() if isinstance(m, TeacherDiffusion)),
        None,
    )
