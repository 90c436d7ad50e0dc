# Copyright (c) mmdiffkd contributors.
"""How the scripts in ``tools/`` answer a user's mistake."""

import functools
import os
import sys
from collections.abc import Callable

from .errors import UserError
from .explain import explain


def command_line(main: Callable[[], None]) -> Callable[[], None]:
    """Show mistakes of the user as one ``error: ...`` and exit with code 2.

    Args:
        main (Callable): The script. Any other exception is a defect: it
            keeps its traceback, and Python exits with code 1.

    Returns:
        Callable: The script with that manner.
    """

    @functools.wraps(main)
    def wrapper() -> None:
        try:
            main()
        except UserError as error:
            fail(str(error))
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            fail(message)

    return wrapper


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
