# Copyright (c) mmdiffkd contributors.
"""Where in a program, and where in a config, an error arose."""

import linecache
from collections.abc import Mapping
from types import FrameType
from typing import Any

from ..blame import Frames, module_of
from ..configs.walk import values_of

BUILDER = 'mmengine.registry.build_functions'
CHECKPOINT = 'mmengine.runner.checkpoint'
LOOPS = 'mmengine.runner.loops'
RUNNER = 'mmengine.runner.runner'


def last_call(frames: Frames, function: str, module: str) -> FrameType | None:
    """The innermost call of a function."""
    for frame in reversed(frames):
        if frame.f_code.co_name == function and module_of(frame) == module:
            return frame
    return None


def loop_has_begun(frames: Frames) -> bool:
    """Whether the loop has begun."""
    return any(
        module_of(f) == LOOPS and f.f_code.co_name.startswith('run')
        for f in frames
    )


def quote(error: BaseException, frames: Frames) -> str:
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


def config_key(frames: Frames, part: Any) -> str | None:
    """Find where in the whole config a dict stands, as a dotted key."""
    for frame in frames:
        if frame.f_code.co_name == 'from_cfg' and isinstance(part, Mapping):
            found = [
                key
                for key, value in values_of(frame.f_locals['cfg'])
                if _same(value, part)
            ]
            return found[0] if len(found) == 1 else None
    return None


def _same(value: Any, part: Mapping) -> bool:
    """Whether ``part`` is ``value``, perhaps with arguments added."""
    return (
        isinstance(value, Mapping)
        and value.get('type') is not None
        and all(
            key in part
            and part[key] is not None
            and _equal(part[key], value[key])
            for key in value
            if value[key] is not None
        )
    )


def _equal(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # arrays and other things without a truth value
        return False
