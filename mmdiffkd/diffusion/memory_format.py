# Copyright (c) mmdiffkd contributors.
"""Maps in a memory format of one's own, and their gradients in the same one.

PyTorch gives the gradients of means and of mean squared errors in its default
format, whatever that of their input; the layers that get them would have to
convert.
"""

from typing import Any

import torch
from torch import Tensor


def in_format(
    x: Tensor, memory_format: torch.memory_format | None = None
) -> Tensor:
    """A map in a memory format; its gradient comes back in that of ``x``.

    Args:
        x (Tensor): Shape (N, C, H, W).
        memory_format (torch.memory_format, optional): That of the values,
            ``torch.channels_last`` or ``torch.contiguous_format``. Defaults
            to None: as they are.

    Returns:
        Tensor: The same values.
    """
    if memory_format is None and x.is_contiguous():
        return x
    converted: Tensor = _InFormat.apply(x, memory_format)  # type: ignore
    return converted


def squared_error(x: Tensor, target: Tensor) -> Tensor:
    """The mean squared error, as :func:`F.mse_loss`, by other kernels.

    Args:
        x (Tensor): Shape (N, C, H, W); its gradient has its format.
        target (Tensor): Same shape; it has no gradient.

    Returns:
        Tensor: A scalar.
    """
    error: Tensor = _SquaredError.apply(x, target)  # type: ignore
    return error


class _InFormat(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, memory_format: torch.memory_format | None
    ) -> Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last)
        ctx.own = torch.channels_last if last else torch.contiguous_format
        return _laid_out(x, memory_format or ctx.own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _laid_out(gradient, ctx.own), None


def _laid_out(x: Tensor, memory_format: torch.memory_format) -> Tensor:
    if not (
        x.device.type == 'cpu'
        and memory_format == torch.contiguous_format
        and x.is_contiguous(memory_format=torch.channels_last)
        and not x.is_contiguous()
    ):
        return x.contiguous(memory_format=memory_format)
    # PyTorch transposes a matrix block by block, and a map number by number,
    # which takes twice as long.
    result = torch.empty_like(x, memory_format=torch.contiguous_format)
    for image, source in zip(result, x):
        image.flatten(1).copy_(source.permute(1, 2, 0).flatten(0, 1).t())
    return result


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor) -> Tensor:
        difference = x - target
        ctx.save_for_backward(difference)
        return difference.square().mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * (gradient * (2 / difference.numel())), None
