# Copyright (c) mmdiffkd contributors.
"""Rules for checkpoints that cannot be read, or belong to another model."""

import os.path as osp
from urllib.error import URLError

from ..blame import Frames, module_of
from ..checkpoints.files import IS_A_FOLDER, unreadable
from .place import CHECKPOINT, RUNNER, last_call


def explain_unreadable_checkpoint(
    error: BaseException, frames: Frames
) -> str | None:
    """A file that ``torch.load`` could not read."""
    load = last_call(frames, 'load_from_local', CHECKPOINT)
    if load is None:
        return None
    path = load.f_locals['filename']
    if osp.isdir(path):
        return IS_A_FOLDER.format('checkpoint', path)
    if isinstance(error, FileNotFoundError):
        return f'checkpoint {path!r} does not exist'
    return unreadable(path, error)


def explain_weights_to_resume(
    error: BaseException, frames: Frames
) -> str | None:
    """Resuming from a file that holds weights alone."""
    resume = last_call(frames, 'resume', RUNNER)
    if (
        resume is None
        or frames[-1] is not resume
        or not isinstance(error, KeyError)
    ):
        return None
    return (
        f'{resume.f_locals["filename"]!r} is not a training checkpoint: '
        f'it has no {error.args[0]!r}. To start from its weights, set '
        'load_from instead of resuming'
    )


def explain_download(error: BaseException, frames: Frames) -> str | None:
    """A checkpoint that is named by an address."""
    for frame in reversed(frames):
        name, local = frame.f_code.co_name, frame.f_locals
        if module_of(frame) != CHECKPOINT:
            continue
        if name == 'load_from_http' and isinstance(error, (OSError, URLError)):
            reason = getattr(error, 'reason', error)
            return (
                f'checkpoint {local["filename"]!r} cannot be downloaded '
                f'({reason}). Where there is no network, copy the file '
                'here and name it instead (load_from, teacher_ckpt or '
                'init_cfg.checkpoint)'
            )
        if name.startswith('load_from_') and isinstance(error, KeyError):
            return (
                f'checkpoint {local.get("filename")!r} is not known: the '
                f'library has no model {error.args[0]!r}'
            )
    return None


def explain_other_model(error: BaseException, frames: Frames) -> str | None:
    """Weights or an optimizer's state of another model."""
    reading = [
        f
        for f in frames
        if module_of(f) == RUNNER
        and f.f_code.co_name in ('resume', 'load_checkpoint')
    ]
    if (
        not reading
        or not isinstance(error, (RuntimeError, ValueError, KeyError))
        or (
            frames[-1].f_code.co_name
            not in ('load_state_dict', '_load_state_dict')
        )
    ):
        return None
    path = reading[0].f_locals.get('filename')
    lines = ' '.join(str(error).split())
    return (
        f'{path!r} does not belong to this config: {lines[:500]}. To go '
        'on with a run, keep its model and optimizer; to start from its '
        'weights, set load_from'
    )
