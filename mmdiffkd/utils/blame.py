# Copyright (c) mmdiffkd contributors.
"""Decide whether an error is the user's setting or a defect; the one rule.

A *setting* is to blame if a host library (PyTorch, MMEngine, MMDetection and
so on) cannot work with what the config names, at the first use of it. A
*defect* keeps its traceback: an error with code of this package or of the
user on its way, an error after the first iteration, and memory.
"""

import dis
import sys
import traceback
from collections.abc import Collection, Mapping
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor

from .errors import UserError

Frames = list[FrameType]

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
    *sys.stdlib_module_names,
}
"""Host libraries; all other code, a library that is not named here included,
counts as the user's."""

KINDS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a host raises for values, shapes and names that it cannot use."""


def frames_of(error: BaseException) -> Frames:
    """The calls that an error came through, the innermost last."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def module_of(frame: FrameType) -> str:
    """Full name of the module that the code of a call is in."""
    return str(frame.f_globals.get('__name__'))


def all_of_hosts(frames: Frames, but: Collection[str] = ()) -> bool:
    """Whether all calls are a host library's.

    Args:
        frames (list): Calls.
        but (Collection[str]): Modules of this package that are passed over,
            because they only hand a batch on. Defaults to none.
    """
    return all(
        name.split('.')[0] in LIBRARIES or name in but
        for name in map(module_of, frames)
    )


def any_of_users(frames: Frames) -> bool:
    """Whether code of the user was called, a script left out."""
    return any(
        name.split('.')[0] not in LIBRARIES | {'mmdiffkd', '__main__'}
        for name in map(module_of, frames)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU or the machine had not enough memory."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in f'{type(error).__name__}: {error}'
        for words in (
            'OutOfMemoryError',
            'out of memory',
            "can't allocate memory",
            'CUBLAS_STATUS_ALLOC_FAILED',
        )
    )


def is_setting(
    error: BaseException,
    frames: Frames,
    first: bool = True,
    but: Collection[str] = (),
) -> bool:
    """Whether a setting of the user is to blame for an error.

    Args:
        error (BaseException): What was raised.
        frames (list): The calls from where the setting was used to where the
            error was raised.
        first (bool): Whether the setting was used for the first time; what
            has worked once was no mistake. Defaults to True.
        but (Collection[str]): See :func:`all_of_hosts`.
    """
    return (
        first
        and bool(frames)
        and isinstance(error, KINDS)
        and not is_out_of_memory(error)
        # CUDA reports errors later, under the name of another operation.
        and 'CUDA' not in str(error)
        and all_of_hosts(frames[-1:])
        and all_of_hosts(frames, but)
    )


class blame:
    """Name the part that fails, and the user's setting if it is to blame.

    As a context manager around the use of one part. An error that
    :func:`is_setting` accepts becomes a :class:`UserError`. So does, at any
    time, a ``ValueError`` that this package raises on purpose. A
    :class:`UserError` gets the name of the part. All others pass, with the
    part as a note below their traceback.

    Args:
        where (str): The part, such as ``"connector 'diff_p3'"``.
        inputs (Mapping, optional): What it is given, by name; the message
            shows shapes. Defaults to none.
        first (bool): Whether the part is used for the first time. Defaults
            to True.
    """

    def __init__(
        self, where: str, inputs: Mapping | None = None, first: bool = True
    ) -> None:
        self.where, self.inputs, self.first = where, inputs or {}, first

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        calls: TracebackType | None,
    ) -> None:
        """Turn the error into another one, or let it pass."""
        if not isinstance(error, Exception):
            return
        if isinstance(error, UserError) or _on_purpose(error):
            raise UserError(f'{self.where}: {error}') from error
        given = ', '.join(f'{k} {describe(v)}' for k, v in self.inputs.items())
        place = self.where + (f' on {given}' if given else '')
        # The first call is the one that stands in the `with` statement.
        if is_setting(error, frames_of(error)[1:], self.first):
            where = self.where + ' fails' + (f' on {given}' if given else '')
            text = ' '.join(str(error).split())[:300]
            raise UserError(
                f'{where}: {type(error).__name__}: {text}'
            ) from error
        if hasattr(error, 'add_note'):  # since Python 3.11
            error.add_note(f'(mmdiffkd: in {place})')


def is_defect(error: Exception) -> bool:
    """Whether a step failed in code of the user, or by a slip of ours.

    Nothing is said of what a host library was given, such as the size of
    images: that may be the user's setting.
    """
    frames = frames_of(error)
    ours = module_of(frames[-1]).split('.')[0] == 'mmdiffkd'
    return any_of_users(frames[1:]) or (ours and not _on_purpose(error))


def _on_purpose(error: Exception) -> bool:
    """Whether a ``raise`` statement of this package says what is wrong."""
    calls = error.__traceback__
    if not isinstance(error, ValueError) or calls is None:
        return False
    while calls.tb_next is not None:
        calls = calls.tb_next
    if not module_of(calls.tb_frame).startswith('mmdiffkd.'):
        return False
    # Not an accident, such as a tuple that cannot be unpacked.
    code = calls.tb_frame.f_code.co_code
    return code[calls.tb_lasti] == dis.opmap['RAISE_VARARGS']


def describe(item: Any) -> str:
    """A tensor by its shape, a container by its size."""
    if isinstance(item, Tensor):
        return str(tuple(item.shape))
    if isinstance(item, (list, tuple)):
        return f'{type(item).__name__} of {len(item)}'
    return type(item).__name__
