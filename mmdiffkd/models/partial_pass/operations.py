# Copyright (c) mmdiffkd contributors.
"""What an operation of PyTorch is given, and what it writes to."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

PLAIN = (Tensor, int, float, str, bytes, type(None))
"""What hides no tensor."""


def written_tensors(func: Any, args: tuple, kwargs: dict) -> Iterator[Tensor]:
    """The arguments that an operation writes to."""
    if not func._schema.is_mutable:
        return
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors_in(
                args[position]
                if position < len(args)
                else kwargs.get(argument.name)
            )


def draws_random_numbers(func: Any, args: tuple, kwargs: dict) -> bool:
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return False
    for position, argument in enumerate(func._schema.arguments):
        if argument.name == 'dropout_p':  # attention draws for nothing else
            default = kwargs.get('dropout_p', argument.default_value)
            return bool(args[position] if position < len(args) else default)
    return True


def tensors_in(value: Any) -> Iterator[Tensor]:
    return (x for x in tree_leaves(value) if isinstance(x, Tensor))


def masks(indices: Any) -> list[Tensor]:
    """Those of the indices that say of each position whether it is meant."""
    kinds = (torch.bool, torch.uint8)
    return [i for i in tensors_in(indices) if i.dtype in kinds]
