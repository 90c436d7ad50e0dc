# Copyright (c) mmdiffkd contributors.
"""Translate what the host libraries raise for mistakes in a config.

A rule knows the function of a host that an error comes from, and says what
the user did wrong. What no rule knows is left alone, and so is all that
:mod:`~mmdiffkd.utils.blame` calls a defect.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ..blame import frames_of
from ..errors import UserError
from .rules_checkpoint import (
    explain_download,
    explain_other_model,
    explain_unreadable_checkpoint,
    explain_weights_to_resume,
)
from .rules_config import (
    explain_construction,
    explain_missing_type,
    explain_runner_settings,
    explain_unknown_optimizer,
    explain_unknown_type,
    explain_wrong_argument,
    explain_wrong_loop_argument,
)
from .rules_data import (
    explain_absent_image,
    explain_broken_image,
    explain_broken_json,
    explain_empty_dataset,
)
from .rules_run import (
    explain_first_iteration,
    explain_full_or_closed_disk,
    explain_memory,
)

RULES = (
    explain_memory,
    explain_unknown_type,
    explain_missing_type,
    explain_wrong_argument,
    explain_wrong_loop_argument,
    explain_unreadable_checkpoint,
    explain_weights_to_resume,
    explain_unknown_optimizer,
    explain_empty_dataset,
    explain_absent_image,
    explain_broken_json,
    explain_download,
    explain_other_model,
    explain_broken_image,
    explain_construction,
    explain_runner_settings,
    explain_first_iteration,
    explain_full_or_closed_disk,
)
"""The first that answers is right: from the special to the general."""


def explain(error: BaseException) -> str | None:
    """Say what the user did wrong, if it was the user.

    Args:
        error (BaseException): Exception that ended a script.

    Returns:
        str or None: One message, or None for a defect of the program.
    """
    frames = frames_of(error)
    if not isinstance(error, Exception) or not frames:
        return None
    for rule in RULES:
        message = rule(error, frames)
        if message is not None:
            return message
    return None


@contextmanager
def explained() -> Iterator[None]:
    """Raise what the user did wrong as a ``UserError``, for Python callers.

    A defect stays what it is. Also a decorator: ``explained()(function)``.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        raise UserError(message) from error
