# Copyright (c) mmdiffkd contributors.
"""Translate errors that another library raises for what a user named.

The rule of all of them: the error comes out of code of a host library, and
neither code of this package nor of the user was called in between. Theirs is
a defect, which keeps its traceback.
"""

import linecache
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import FrameType
from urllib.error import URLError

Frames = list[FrameType]

RUNNER = 'mmengine.runner.runner'
CHECKPOINT = 'mmengine.runner.checkpoint'
BUILDER = 'mmengine.registry.build_functions'
# Methods of MMEngine's runner that only read the config.
READING = re.compile(
    r'__init__|from_cfg|build_\w+|set_randomness|setup_env|'
    r'scale_lr|register_\w+|_check_scheduler_cfg'
)
LIBRARIES = {
    'cv2',
    'mmcv',
    'mmdet',
    'mmengine',
    'mmpretrain',
    'mmrazor',
    'mmseg',
    'numpy',
    'pycocotools',
    'torch',
    'torchvision',
    *getattr(sys, 'stdlib_module_names', ('json', 'multiprocessing', 'os')),
}
# Code of ours that only passes a batch on to the student or the teacher.
PASSING_ON = (
    'mmdiffkd.models.algorithms.frozen_teacher_distill',
    'mmdiffkd.models.algorithms.early_exit',
)


def said(error: BaseException, frames: Frames) -> str:
    """An exception in one line: its kind, its words and its place."""
    text = str(
        error.args[0] if isinstance(error, KeyError) and error.args else error
    ).strip()
    last = frames[-1]
    path = last.f_code.co_filename
    if not text:
        text = linecache.getline(path, last.f_lineno).strip()
    place = path.partition('site-packages/')[2] or path
    return (
        f'{type(error).__name__}: {" ".join(text.split())[:600]} '
        f'({place}, line {last.f_lineno})'
    )


def download(error: BaseException, frames: Frames) -> str | None:
    """A checkpoint that is named by an address."""
    for frame in reversed(frames):
        name, local = frame.f_code.co_name, frame.f_locals
        if frame.f_globals.get('__name__') != CHECKPOINT:
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


def other_model(error: BaseException, frames: Frames) -> str | None:
    """Weights or an optimizer's state of another model."""
    reading = [
        f
        for f in frames
        if f.f_globals.get('__name__') == RUNNER
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


def broken_image(error: BaseException, frames: Frames) -> str | None:
    """An image file that is there and is none, also in a worker's words."""
    match = re.search(r'failed to load image: (.+)', str(error))
    name = match.group(1).strip() if match else None
    if name is None and type(error).__module__.startswith('cv2'):
        names = [
            f.f_locals.get('filename')
            for f in frames
            if f.f_code.co_name == 'transform'
        ]
        name = names[-1] if names else None
    return (
        (
            f'image file {name!r} is empty, cut or no image: restore it, or '
            'take it out of the annotations'
        )
        if name
        else None
    )


def construction(error: BaseException, frames: Frames) -> str | None:
    """An object that a library cannot build from its dict."""
    places = [
        i
        for i, frame in enumerate(frames)
        if frame.f_code.co_name == 'build_from_cfg'
        and frame.f_globals.get('__name__') == BUILDER
    ]
    if (
        not places
        or _other(frames[places[-1] :])
        or _running(frames)
        or any(
            f.f_globals.get('__name__') == RUNNER for f in frames[places[-1] :]
        )
    ):  # a loop asks the runner for more
        return None
    local = frames[places[-1]].f_locals
    name = getattr(local.get('obj_cls'), '__name__', None)
    if name in (None, 'type') or frames[-1] is frames[places[-1]]:
        return None
    from .explain import _place  # it names the rules of this module

    cfg = local.get('cfg')
    place = _place(frames, cfg)
    plain = (
        {
            key: value
            for key, value in cfg.items()
            if isinstance(value, (str, int, float))
        }
        if isinstance(cfg, Mapping)
        else ''
    )
    where = f' (config key {place})' if place else f' {plain}'
    source = cfg.get('ann_file') if isinstance(cfg, Mapping) else None
    of = f' of {source!r}' if isinstance(source, str) and source else ''
    return (
        f'{name}{of} cannot be built from its config{where}: '
        f'{said(error, frames)}'
    )


def runner_settings(error: BaseException, frames: Frames) -> str | None:
    """Settings that MMEngine's runner itself refuses."""
    places = [
        i
        for i, frame in enumerate(frames)
        if frame.f_globals.get('__name__') == RUNNER
    ]
    if (
        not places
        or _running(frames)
        or _other(frames[places[-1] :])
        or (not READING.fullmatch(frames[places[-1]].f_code.co_name))
    ):
        return None
    frame = frames[places[-1]]
    name = frame.f_code.co_name
    topic = (
        name[6:]
        if name.startswith('build_')
        else {
            'set_randomness': 'randomness',
            'scale_lr': 'auto_scale_lr',
            'setup_env': 'env_cfg',
            'register_hook': 'hook',
        }.get(name, '')
    )
    given = frame.f_locals.get(topic, frame.f_locals.get('dataloader_cfg'))
    if isinstance(given, Mapping):
        topic += (
            ' '
            + str(
                {
                    k: v
                    for k, v in given.items()
                    if not isinstance(v, (Mapping, list))
                    and k not in ('dataset', 'sampler')
                }
            )[:300]
        )
    return (
        f'MMEngine refuses the {topic or "settings"} of the config: '
        f'{said(error, frames)}'
    )


def first_iteration(error: BaseException, frames: Frames) -> str | None:
    """A model whose parts do not fit each other, or the data."""
    steps = [
        f
        for f in frames
        if f.f_code.co_name == 'run_iter'
        and f.f_globals.get('__name__') == 'mmengine.runner.loops'
    ]
    if (
        not steps
        or not isinstance(
            error,
            (
                AssertionError,
                AttributeError,
                IndexError,
                KeyError,
                TypeError,
                ValueError,
                RuntimeError,
            ),
        )
        or 'CUDA' in str(error)
    ):
        return None
    runner = getattr(steps[0].f_locals.get('self'), 'runner', None)
    below = frames[frames.index(steps[0]) :]
    if (
        getattr(runner, 'iter', 1) != 0
        or _other(below[-1:])
        or _other(below, PASSING_ON)
        or not any(f.f_code.co_name == 'train_step' for f in below)
    ):
        return None
    modules = [
        f.f_locals.get('self')
        for f in below
        if f.f_code.co_name == '_call_impl'
    ]
    name = type(modules[-1]).__name__ if modules else 'data'
    return (
        f'the first training iteration fails in {name}; parts of the '
        'model do not fit each other, or the data (channels, strides, '
        f'pipeline, num_classes): {said(error, frames)}'
    )


def memory(error: BaseException, frames: Frames) -> str | None:
    """Too much for the GPU."""
    if type(error).__name__ != 'OutOfMemoryError':
        return None
    return (
        'the GPU has not enough memory: lower train_dataloader.batch_size '
        'or the size of the images, or use --amp '
        f'({" ".join(str(error).split())[:200]})'
    )


def file_system(error: BaseException, frames: Frames) -> str | None:
    """A path that cannot be read or written, a full disk."""
    if (
        isinstance(error, OSError)
        and error.filename is not None
        and (error.strerror)
    ):
        return f'{error.strerror}: {error.filename!r}'
    if isinstance(error, RuntimeError) and re.search(
        'PytorchStreamWriter|unexpected pos|failed writing', str(error)
    ):
        return (
            'a checkpoint could not be written to its end; is the disk '
            'full, or a quota reached? Earlier checkpoints are as they '
            f'were ({" ".join(str(error).split())[:200]})'
        )
    return None


RULES = (
    download,
    other_model,
    broken_image,
    construction,
    runner_settings,
    first_iteration,
    memory,
    file_system,
)


def explain_library(error: BaseException) -> str | None:
    """Say what the user named that another library could not take.

    Args:
        error (BaseException): Exception that ended a script.

    Returns:
        str | None: One message, or None for a defect of the program.
    """
    if not isinstance(error, Exception):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for rule in RULES:
        message = rule(error, frames) if frames else None
        if message is not None:
            return message
    return None


def _other(frames: Frames, but: Sequence[str] = ()) -> bool:
    """Whether other code than a library's is among some frames."""
    names = [str(f.f_globals.get('__name__')) for f in frames]
    return any(
        name.split('.')[0] not in LIBRARIES and name not in but
        for name in names
    )


def _running(frames: Frames) -> bool:
    """Whether the loop has begun."""
    return any(
        f.f_globals.get('__name__') == 'mmengine.runner.loops'
        and f.f_code.co_name.startswith('run')
        for f in frames
    )
