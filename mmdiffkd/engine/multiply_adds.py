# Copyright (c) mmdiffkd contributors.
"""PyTorch's formulas for the work of an operator, and a better one.

That of the backward pass of a convolution forgets the groups where it counts
the gradient of the weights: a depthwise convolution of 64 channels would count
64 times as much there.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import conv_flop_count, flop_registry


def convolution_backward(
    gradient: Any,
    x: Any,
    weight: Any,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: tuple[bool, bool, bool],
    out_val: Any = None,
) -> int:
    """Floating-point operations of :func:`aten.convolution_backward`.

    The gradient of the input and that of the weights take as much as the
    forward pass each; that of the bias counts nothing.
    """
    forward: int = conv_flop_count(
        list(x.shape), list(weight.shape), list(gradient.shape), transposed
    )
    return forward * sum(wanted[:2])


# Its arguments are tensors; the counter hands shapes to others.
convolution_backward._get_raw = True  # type: ignore[attr-defined]

OURS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: convolution_backward
}
"""By operator; the ``custom_mapping`` of PyTorch's ``FlopCounterMode``."""


def formula_of(operator: Any) -> Callable[..., int] | None:
    """Floating-point operations of an operator, None where it counts none.

    Args:
        operator (OpOverloadPacket): Such as ``torch.ops.aten.mm``.

    Returns:
        Callable: From its arguments, and its result as ``out_val``.
    """
    found: Callable[..., int] | None = OURS.get(
        operator, flop_registry.get(operator)
    )
    return found
