# Copyright (c) mmdiffkd contributors.
"""Convert a checkpoint file of another project."""

import argparse
import os.path as osp
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..errors import UserError
from .files import read_checkpoint, write_checkpoint


def convert_checkpoint(
    source: str,
    out: str,
    key: str,
    convert: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    overwrite: bool = False,
) -> int:
    """Read weights, rename them, and write ``dict(state_dict=...)``.

    Args:
        source (str): File of the other project. Nothing in it is executed.
        out (str): File to write.
        key (str): Where the file keeps its state dict; a file that is a
            state dict itself is understood.
        convert (Callable): From its state dict to ours. A UserError that it
            raises is completed by the file's name.
        overwrite (bool): Whether to replace ``out``. Defaults to False.

    Returns:
        int: Number of tensors written.

    Raises:
        UserError: If a file is in the way or cannot be read, or the weights
            do not fit.
    """
    if osp.exists(out) and not overwrite:
        raise UserError(
            f'{out!r} exists; replace it with --overwrite, or '
            'choose another name'
        )
    # Training scripts store their command line beside the weights.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = read_checkpoint(source)
    state = content.get(key, content)
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(value, Tensor) for value in state.values())
    ):
        raise UserError(
            f'{source!r} holds no weights under the key {key!r}; '
            f'found {", ".join(map(str, list(content)[:5]))}'
        )
    try:
        converted = convert(state)
    except UserError as error:
        raise UserError(f'{source!r}: {error}') from error
    write_checkpoint(dict(state_dict=converted), out)
    return len(converted)
