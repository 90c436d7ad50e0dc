# Copyright (c) mmdiffkd contributors.
"""Batch norm of maps and of single values."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Again = Callable[[Tensor], Tensor]
"""From a norm's input to the output that it had in one pass."""

LARGE = 2**20
"""Numbers of a map from which passes of whole tensors are the faster way."""

LONG = 1024
"""Likewise the positions of one channel, which a pass runs along."""


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that is fast on large maps and works on single values.

    On a CPU, PyTorch finds the mean and the variance of an (N, C, H, W) map
    number by number, in most of the time of the layer. Here they are sums of
    whole tensors where the map is large. Both agree within rounding.

    One vector, or one 1x1 map, has no variance, and PyTorch refuses it in
    training. Such a batch is normalised with the running statistics, without
    updating them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (N, C, H, W); the shape is kept."""
        if self._is_single(x):
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        if self._in_passes(x):
            return self._normalise(x)[0]
        return super().forward(x)

    def with_again(self, x: Tensor) -> tuple[Tensor, Again]:
        """As :meth:`forward`, with a way to the output's bits from ``x``.

        Args:
            x (Tensor): Shape (N, C, H, W).

        Returns:
            tuple[Tensor, Callable]: The output, and a function from the same
            input to it that updates no statistics.
        """
        # Of this pass: functional_call puts others in their place.
        weight, bias = (
            None if p is None else p.detach() for p in (self.weight, self.bias)
        )
        if self._in_passes(x) and not self._is_single(x):
            y, mean, invstd = self._normalise(x)
            return y, partial(_apply, mean, invstd, weight, bias)
        means, variances = self.running_mean, self.running_var
        own = self.training or means is None
        if self._is_single(x):
            own = False
        again = partial(
            F.batch_norm,
            running_mean=None if own else means,
            running_var=None if own else variances,
            weight=weight,
            bias=bias,
            training=own,
            momentum=0.0,
            eps=self.eps,
        )
        return self.forward(x), again

    def _is_single(self, x: Tensor) -> bool:
        return (
            self.training
            and self.track_running_stats
            and x.shape[0] * x.shape[2] * x.shape[3] == 1
        )

    def _in_passes(self, x: Tensor) -> bool:
        return (
            self.training
            and self.weight is not None
            and self.bias is not None
            and x.device.type == 'cpu'
            and x.dtype == self.weight.dtype == torch.float32
            and x.numel() >= LARGE
            and x.shape[2] * x.shape[3] >= LONG
            # Other numbers of channels are an error, in PyTorch's words.
            and x.shape[1] == self.num_features
            and x.is_contiguous()
            and not torch.compiler.is_compiling()
        )

    def _normalise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The output, and the mean and 1 / deviation of each channel."""
        y, mean, var, invstd = _InPasses.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.eps
        )
        means, variances = self.running_mean, self.running_var
        # Some switch tracking off for a while, and the statistics stay.
        tracked = self.track_running_stats
        if tracked and means is not None and variances is not None:
            share = self.momentum or 0.0
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                if self.momentum is None:  # the mean of all batches
                    share = 1 / float(self.num_batches_tracked)
            numbers = x.numel() // x.shape[1]
            unbiased = var * (numbers / (numbers - 1))
            means.mul_(1 - share).add_(mean, alpha=share)
            variances.mul_(1 - share).add_(unbiased, alpha=share)
        return y, mean, invstd


def _wide(vector: Tensor) -> Tensor:
    """A number for each channel, (C,), beside (N, C, H, W)."""
    return vector[:, None, None]


def _scale(
    centred: Tensor, invstd: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """From ``x - mean``, in its memory."""
    return torch.addcmul(
        _wide(bias), centred, _wide(weight * invstd), out=centred
    )


def _apply(
    mean: Tensor, invstd: Tensor, weight: Tensor, bias: Tensor, x: Tensor
) -> Tensor:
    return _scale(x - _wide(mean), invstd, weight, bias)


class _InPasses(torch.autograd.Function):
    """Batch norm by the statistics of its batch."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Image by image: sums along one image's positions lose the least.
        mean = x.mean((2, 3)).mean(0)
        centred = x - _wide(mean)
        squares = torch.linalg.vector_norm(centred, dim=(2, 3)).square_()
        var = squares.mean(0) / (x.shape[2] * x.shape[3])
        invstd = (var + eps).rsqrt_()
        return _scale(centred, invstd, weight, bias), mean, var, invstd

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, weight, _, ctx.eps = inputs
        _, *statistics = output
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, statistics[0], statistics[2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> Any:
        if grad is None:
            return None, None, None, None
        x, weight, mean, invstd = ctx.saved_tensors
        gradients = torch.ops.aten.native_batch_norm_backward(
            grad,
            x,
            weight,
            None,
            None,
            mean,
            invstd,
            True,
            ctx.eps,
            ctx.needs_input_grad[:3],
        )
        return *gradients, None
