# Copyright (c) mmdiffkd contributors.
"""How the commands answer a user's mistake."""

import argparse
import contextlib
import functools
import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec

from mmengine.logging import MMLogger

from .errors import UserError
from .explain import explain

Words = ParamSpec('Words')

VARIABLE = 'MMDIFFKD_TRACEBACK'
"""Environment variable that shows the traceback of a mistake, too."""


class _ShowTraceback(argparse.Action):
    """Set the variable, for this process and those that it starts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(nargs=0, **kwargs)

    def __call__(self, *_: Any) -> None:
        os.environ[VARIABLE] = '1'


def add_traceback(parser: argparse.ArgumentParser) -> None:
    """Add ``--traceback`` to the arguments of a script."""
    parser.add_argument(
        '--traceback',
        action=_ShowTraceback,
        help='show where in the code a mistake was found, above the '
        f'message; so does {VARIABLE}=1',
    )


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size`` and ``--input-size``; see :func:`check_batch`."""
    parser.add_argument(
        '--batch-size', type=int, help="images a device; default: the config's"
    )
    parser.add_argument(
        '--input-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the images, in pixels; default: the largest of the training '
        'pipeline',
    )


def check_batch(args: argparse.Namespace) -> None:
    """Check what :func:`add_batch` has added.

    Raises:
        UserError: If there are no images, or no pixels.
    """
    if args.batch_size is not None and args.batch_size < 1:
        raise UserError(f'--batch-size must be at least 1: {args.batch_size}')
    if args.input_size and min(args.input_size) < 1:
        height, width = args.input_size
        raise UserError(
            '--input-size must be a height and a width of at least 1 pixel, '
            f'got {height} {width}'
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of what the libraries build and load, at length."""
    before = logging.root.manager.disable
    _disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        _disable(before)


def _disable(level: int) -> None:
    logging.disable(level)
    # A logger remembers which levels it passes on. MMEngine's stand outside of
    # logging's own list, and forget by this alone.
    logger = MMLogger.get_current_instance()
    logger.setLevel(logger.level)


def check_new_file(option: str, path: str | os.PathLike, new: bool) -> None:
    """Check the name of a file that is to be written.

    Args:
        option (str): That names it, for the message.
        path (str | PathLike): The file.
        new (bool): Whether it must not exist, as without ``--overwrite``.

    Raises:
        UserError: If it exists, or its folder does not.
    """
    folder = os.path.dirname(path) or '.'
    if not os.path.isdir(folder) or os.path.isdir(path):
        raise UserError(
            f'{option} {path}: it has to be a file in a folder that exists'
        )
    if new and os.path.exists(path):
        raise UserError(f'{option} {path} exists; replace it with --overwrite')


def write_numbers(option: str, path: str | os.PathLike, data: Any) -> None:
    """Write a file of JSON.

    Args:
        option (str): That names it, for the message.
        path (str | PathLike): The file; it is replaced.
        data (Any): What JSON can hold.

    Raises:
        UserError: If it cannot be written.
    """
    with writing(option, path):
        Path(path).write_text(json.dumps(data, indent=1) + '\n')


@contextlib.contextmanager
def writing(option: str, path: str | os.PathLike) -> Iterator[None]:
    """Name the option and the file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f'{option} {path} could not be written: {error}'
        ) from error


def check_picture(option: str, path: str | os.PathLike) -> None:
    """Check that the name of a picture ends as Matplotlib can write it.

    Raises:
        UserError: If not; the message has the endings.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    kind = os.path.splitext(path)[1].lstrip('.').lower()
    known = FigureCanvasBase.get_supported_filetypes()
    if kind not in known:
        raise UserError(
            f'{option} {path}: the name has to end in one of '
            f'{", ".join(sorted(known))}'
        )


def command_line(main: Callable[Words, None]) -> Callable[Words, None]:
    """Show mistakes of the user as one ``error: ...`` and exit with code 2.

    The log file of a run has the traceback of any error.

    Args:
        main (Callable): The command. Any other exception is a defect: it
            keeps its traceback, and Python exits with code 1.

    Returns:
        Callable: The command with that manner.
    """

    @functools.wraps(main)
    def wrapper(*args: Words.args, **kwargs: Words.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except Exception as error:
            _log_traceback(error)
            message = (
                str(error) if isinstance(error, UserError) else explain(error)
            )
            if message is None:
                raise
            if os.environ.get(VARIABLE, '0') not in ('', '0'):
                traceback.print_exception(error)
            fail(message)

    return wrapper


def _log_traceback(error: Exception) -> None:
    """Write it to the log files of the run, and not to the console."""
    calls = (type(error), error, error.__traceback__)
    record = logging.LogRecord(
        'mmdiffkd', logging.ERROR, __file__, 0, 'the run ends', (), calls
    )
    for logger in list(MMLogger._instance_dict.values()):
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.emit(record)


def fail(message: str) -> None:
    """Print an error, with the rank in a run of several processes, and exit.

    Args:
        message (str): What is wrong, where, and what to do.
    """
    sys.stdout.flush()
    # One write, so that the ranks' messages do not mix.
    sys.stderr.write(f'{_rank_prefix()}error: {message}\n')
    sys.stderr.flush()
    sys.exit(2)


def _rank_prefix() -> str:
    for size, rank in (
        ('WORLD_SIZE', 'RANK'),
        ('SLURM_NTASKS', 'SLURM_PROCID'),
    ):
        if rank in os.environ and os.environ.get(size, '1') not in ('', '1'):
            return f'[rank {os.environ[rank]}] '
    return ''
