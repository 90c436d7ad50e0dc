# Copyright (c) mmdiffkd contributors.
"""Arguments of ``torch.compile`` in a config."""

from typing import Any

import torch

from .errors import UserError


def compile_arguments(where: str, value: bool | dict) -> dict[str, Any] | None:
    """What a config says about compiling, as arguments.

    Args:
        where (str): Config entry, for the message.
        value (bool | dict): True stands for PyTorch's defaults.

    Returns:
        Dict[str, Any] | None: None where nothing is compiled.

    Raises:
        UserError: If it is neither, or PyTorch does not take the arguments.
    """
    if value is False:
        return None
    if value is not True and not isinstance(value, dict):
        raise UserError(
            f'{where} must be True, False or a dict with arguments of '
            f'torch.compile, got {value!r}'
        )
    arguments = {} if value is True else dict(value)
    try:
        torch.compile(_nothing, **arguments)  # compiles when it is called
    except Exception as error:
        told = str(error).split('\n')[0]
        if len(told) > 200:  # such as one with all options that there are
            told = f'{told[:200]}...'
        raise UserError(
            f'{where}={value!r}: torch.compile does not take this'
            f'{f": {told}" if told else ""}'
        ) from error
    return arguments


def _nothing() -> None:
    pass
