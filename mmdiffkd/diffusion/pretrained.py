# Copyright (c) mmdiffkd contributors.
"""The diffusion model of a teacher in a file, trained before any student.

A file holds, for each connector by its name, the weights of the parts that
know the teacher alone: denoiser, autoencoder and scale. What stands between
them and a student is not in it.
"""

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.checkpoints.files import read_checkpoint
from mmdiffkd.utils.checkpoints.weights import load_fitting

from .teacher_diffusion import TeacherDiffusion

KEY = 'diffusion_models'
"""Top-level key of a file of ``pretrain-diffusion``."""


def diffusion_file(
    modules: Mapping[str, TeacherDiffusion], **meta: Any
) -> dict[str, Any]:
    """What a file of diffusion models holds.

    Args:
        modules (Mapping[str, TeacherDiffusion]): By connector's name.
        **meta: Plain values, for those who look into the file.

    Returns:
        dict: ``diffusion_models``, for each connector its ``state_dict`` and
        ``settings``; and ``meta``.
    """
    return {
        KEY: {
            name: dict(
                state_dict=nn.ModuleDict(
                    module.diffusion_parts()
                ).state_dict(),
                settings=module.diffusion_settings(),
            )
            for name, module in modules.items()
        },
        'meta': meta,
    }


def load_diffusion(module: TeacherDiffusion, path: str, name: str) -> None:
    """Give a connector the diffusion model of a file.

    Args:
        module (TeacherDiffusion): What the connector consists of.
        path (str): A file of ``pretrain-diffusion``, or a checkpoint of a
            distillation.
        name (str): Of the connector; a diffusion model of the same name is
            taken, or the only one that there is.

    Raises:
        UserError: If the file cannot be read, has no such diffusion model,
            or one of other widths, parts or noise.
    """
    models = _models_of(path)
    if name not in models and len(models) > 1:
        raise UserError(
            f'diffusion_ckpt {path!r} has no diffusion model of the '
            f"connector '{name}'{closest(name, models)}; it has "
            f'{sorted(models)}'
        )
    found = models.get(name) or next(iter(models.values()))
    if 'settings' not in found:
        print_log(
            f'diffusion_ckpt {path!r} is a checkpoint of a distillation, '
            'which does not say how its diffusion model was trained: '
            f"prediction and schedule of the connector '{name}' must be "
            'those of that config',
            'current',
            logging.WARNING,
        )
    problems = _other_settings(module, found.get('settings') or {})
    parts = module.diffusion_parts()
    for part in sorted({key.split('.')[0] for key in found['state_dict']}):
        if part not in parts:
            problems.append(f'the file has a {part}, the config has none')
    if not problems:
        whole = nn.ModuleDict(parts)
        missing, wrong = load_fitting(whole, found['state_dict'])
        absent = {part for part in parts if parts[part].state_dict()} - {
            key.split('.')[0] for key in found['state_dict']
        }
        problems += [
            f'the config has a {part}, the file has none'
            for part in sorted(absent)
        ]
        problems += [
            f'{key} is not in the file'
            for key in missing
            if key.split('.')[0] not in absent
        ]
        problems += wrong
        # Such as the running statistics of another norm. Counters that
        # PyTorch has added since are no part of what was learned.
        problems += [
            f'{key} is in the file alone'
            for key in sorted(found['state_dict'].keys() - whole.state_dict())
            if not key.endswith('num_batches_tracked')
        ]
    if problems:
        shown = ''.join(f'\n  {line}' for line in problems[:6])
        more = len(problems) - 6
        raise UserError(
            f"diffusion_ckpt {path!r} does not fit the connector '{name}':"
            f'{shown}{f"{chr(10)}  and {more} more" if more > 0 else ""}\n'
            'Train it with this config: mmdiffkd pretrain-diffusion CONFIG'
        )


def _models_of(path: str) -> dict[str, Any]:
    """What a file knows of each connector, by name."""
    try:
        content = read_checkpoint(path)
    except UserError as error:
        raise UserError(
            f'diffusion_ckpt: {error}; mmdiffkd pretrain-diffusion CONFIG '
            'makes one'
        ) from error
    models = content.get(KEY)
    if isinstance(models, dict) and models:
        return models
    state = content.get('state_dict')
    found = _of_distillation(state) if isinstance(state, dict) else {}
    if not found:
        raise UserError(
            f'diffusion_ckpt {path!r} holds no diffusion model; mmdiffkd '
            'pretrain-diffusion CONFIG makes one, and a checkpoint of a '
            'distillation has one, which an exported student has not'
        )
    return found


def _of_distillation(state: Mapping[str, Tensor]) -> dict[str, Any]:
    start, middle = 'distiller.connectors.', '.diffusion.'
    found: dict[str, Any] = {}
    for key, value in state.items():
        if not key.startswith(start) or middle not in key:
            continue
        name, rest = key[len(start) :].split(middle, 1)
        if rest.split('.')[0] in TeacherDiffusion.PARTS:
            model = found.setdefault(name, dict(state_dict={}))
            model['state_dict'][rest] = value
    return found


def _other_settings(
    module: TeacherDiffusion, settings: Mapping[str, Any]
) -> list[str]:
    own = module.diffusion_settings()
    return [
        f'{key}: {value!r} in the file, {own[key]!r} in the config'
        for key, value in settings.items()
        if key in own and own[key] != value
    ]
