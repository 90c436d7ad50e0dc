# Copyright (c) mmdiffkd contributors.
"""Rules for a run: its first iteration, memory, the disk."""

import re

from ..blame import Frames, any_of_users, is_out_of_memory, is_setting
from .place import LOOPS, last_call, quote

# Code of ours that only passes a batch on to the student or the teacher.
PASSING_ON = (
    'mmdiffkd.models.algorithms.frozen_teacher_distill',
    'mmdiffkd.models.algorithms.early_exit',
)


def explain_first_iteration(
    error: BaseException, frames: Frames
) -> str | None:
    """A model whose parts do not fit each other, or the data."""
    step = last_call(frames, 'run_iter', LOOPS)
    if step is None:
        return None
    runner = getattr(step.f_locals.get('self'), 'runner', None)
    below = frames[frames.index(step) :]
    if not any(f.f_code.co_name == 'train_step' for f in below):
        return None
    first = getattr(runner, 'iter', 1) == 0
    if not is_setting(error, below, first, PASSING_ON):
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
        f'pipeline, num_classes): {quote(error, frames)}'
    )


def explain_memory(error: BaseException, frames: Frames) -> str | None:
    """Too much for the GPU, or for the machine."""
    if not is_out_of_memory(error):
        return None
    text = ' '.join(str(error).split())[:200]
    # The words of PyTorch's allocator of the CPU.
    gpu = "can't allocate memory" not in text and isinstance(
        error, RuntimeError
    )
    return (
        f'the {"GPU" if gpu else "machine"} has not enough memory: lower '
        'train_dataloader.batch_size or the size of the images'
        + (', or use --amp ' if gpu else ' ')
        + f'({text})'
    )


def explain_full_or_closed_disk(
    error: BaseException, frames: Frames
) -> str | None:
    """A path that cannot be read or written, a full disk."""
    if (
        isinstance(error, OSError)
        and error.filename is not None
        and error.strerror
        and not any_of_users(frames)
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
