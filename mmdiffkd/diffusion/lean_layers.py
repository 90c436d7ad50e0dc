# Copyright (c) mmdiffkd contributors.
"""Layers whose backward pass computes again what is cheap to compute.

Of convolution, norm and ReLU, PyTorch keeps three tensors: the input of each
convolution and each norm, and the output of each ReLU. All of them follow from
the outputs of the convolutions, by norms, ReLUs and sums. So those outputs are
kept, and the rest is computed again when the backward pass asks for it; a 1x1
convolution that widens its input is too, since its output is the larger of
the two. Where the weights of a convolution are not trained, nobody reads its
input. Values and gradients keep their bits: mode and precision are those of
the forward pass, and weights that have changed since are an error, as they are
to autograd.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from .blocks import NORMS, Bottleneck, RevertedSyncBatchNorm
from .pointwise import PointwiseConv2d

KNOWN = {
    nn.Conv2d,
    PointwiseConv2d,
    nn.ReLU,
    nn.GroupNorm,
    nn.InstanceNorm2d,
    RevertedSyncBatchNorm,
    *NORMS.values(),
}
"""Layers that may be computed again. A subclass may compute something else."""


class _Kept:
    """A tensor as it is now; autograd looks after none that hooks replace."""

    __slots__ = ('tensor', 'version')

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.version = _version(tensor)

    def get(self) -> Tensor:
        version = _version(self.tensor)
        if version != self.version:
            # The first words are PyTorch's own.
            raise RuntimeError(
                'one of the variables needed for gradient computation has '
                'been modified by an inplace operation after the forward '
                'pass: a weight, statistic or input of a norm or '
                f'convolution, shape {tuple(self.tensor.shape)}, is at '
                f'version {version}, expected {self.version}'
            )
        return self.tensor


class Recomputed:
    """A tensor that is computed when it is asked for.

    It stays until all that asked for it in the forward pass have got it.

    Args:
        function (Callable): From the inputs to the tensor.
        *inputs: Tensors, others like this one, or None.

    Raises:
        RuntimeError: When it is asked for after an input has changed.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        *inputs: 'Tensor | Recomputed | None',
    ) -> None:
        self.function = function
        self.inputs = [
            _Kept(item) if isinstance(item, Tensor) else item
            for item in inputs
        ]
        self.uses = 0
        self._value: Tensor | None = None
        self._left = 0
        for item in inputs:
            if isinstance(item, Recomputed):
                item.uses += 1

    def get(self) -> Tensor:
        """The tensor."""
        if self._value is None:
            values = [
                None if item is None else item.get() for item in self.inputs
            ]
            self._value, self._left = self.function(*values), self.uses
        value = self._value
        self._left -= 1
        if self._left <= 0:
            self._value = None
        return value


class Unread:
    """A tensor of which a backward pass reads the form, and no value."""

    def __init__(self, tensor: Tensor) -> None:
        self.make = partial(
            torch.empty_strided,
            tensor.shape,
            tensor.stride(),
            dtype=tensor.dtype,
            device=tensor.device,
        )

    def get(self) -> Tensor:
        """Memory of that form, whatever it holds."""
        return self.make()


Source = Tensor | Recomputed
_Again = tuple[Callable[..., Tensor], tuple[Tensor | None, ...]]
"""A function, and what it takes beside its input."""


class _Saved:
    """What autograd has saved: a tensor, or where it comes from."""

    __slots__ = ('source',)

    def __init__(self, tensor: Tensor) -> None:
        # Detached, or an output would hold the graph that holds it.
        self.source: _Kept | Recomputed | Unread = _Kept(tensor.detach())

    def get(self) -> Tensor:
        if isinstance(self.source, _Kept):
            return self.source.get()
        if torch.is_grad_enabled():
            raise RuntimeError(
                'a second derivative (create_graph=True) cannot pass '
                'recomputed layers; set `lean = False` on the denoiser'
            )
        return self.source.get()


def lean_forward(layers: nn.Sequential, x: Tensor) -> Tensor:
    """What ``layers(x)`` gives, with less kept for the backward pass.

    Args:
        layers (nn.Sequential): For which :func:`can_be_lean` holds.
        x (Tensor): Shape (N, C, H, W).

    Returns:
        Tensor: Shape (N, C', H', W').
    """
    return _Pass().run(layers, x)


def can_be_lean(layers: nn.Module) -> bool:
    """Whether there are no other layers than those that are known here."""
    return all(type(layer) in KNOWN for layer in _leaves(layers))


def worthwhile(x: Tensor) -> bool:
    """Whether a backward pass may follow, and nobody else keeps tensors.

    Of vectors, what is kept is nothing beside the weights.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if x.shape[2:] == (1, 1):
        return False
    # Those of checkpoints count what is saved; those of save_on_cpu move it.
    top = getattr(
        torch._C._autograd, '_top_saved_tensors_default_hooks', lambda _: None
    )
    return top(True) is None


def _leaves(layers: nn.Module) -> Iterator[nn.Module]:
    for layer in layers.children():
        if isinstance(layer, (Bottleneck, nn.Sequential)):
            yield from _leaves(layer)
        else:
            yield layer


class _Pass:
    """One forward pass: what autograd saves of it, and what that follows from.

    All tensors of the pass live until its end, so that no two of them have
    had the same memory.
    """

    def __init__(self) -> None:
        self.saved: list[_Saved] = []
        self.alive: list[tuple[Tensor, Source]] = []

    def run(self, layers: nn.Sequential, x: Tensor) -> Tensor:
        """The output; what was saved is replaced by where it comes from."""
        with saved_tensors_hooks(self._pack, _Saved.get):
            output, _ = self._layers(layers, x, x.detach())
        sources = {_place(tensor): source for tensor, source in self.alive}
        for item in self.saved:
            if isinstance(item.source, _Kept):
                source = sources.get(_place(item.source.tensor))
                if isinstance(source, Recomputed):
                    source.uses += 1
                    item.source = source
        # What autograd has saved keeps the hooks, and by them this pass.
        self.alive.clear()
        self.saved.clear()
        return output

    def _pack(self, tensor: Tensor) -> _Saved:
        self.saved.append(_Saved(tensor))
        return self.saved[-1]

    def _layers(
        self, layers: nn.Sequential, x: Tensor, source: Source
    ) -> tuple[Tensor, Source]:
        for layer in layers:
            if isinstance(layer, Bottleneck):
                inner, inner_source = self._layers(layer.layers, x, source)
                # In place where nobody keeps what is overwritten.
                free = isinstance(inner_source, Recomputed)
                free = free and inner.dtype == x.dtype
                x = inner.add_(x) if free else x + inner
                source = Recomputed(torch.add, source, inner_source)
            elif isinstance(layer, nn.Sequential):
                x, source = self._layers(layer, x, source)
            elif isinstance(layer, nn.Conv2d):
                x, source = self._convolution(layer, x, source)
            else:
                again: _Again | None = (F.relu, ())
                if not isinstance(layer, nn.ReLU):
                    again = _norm(layer, x)
                x = layer(x)
                overwritten = isinstance(source, Tensor) and (
                    _place(source) == _place(x)
                )
                if again is None or overwritten:
                    source = x.detach()
                else:
                    source = Recomputed(again[0], source, *again[1])
            self.alive.append((x, source))
        return x, source

    def _convolution(
        self, layer: nn.Conv2d, x: Tensor, source: Source
    ) -> tuple[Tensor, Source]:
        kind = x.device.type
        dtype = _autocast(kind)
        if dtype not in (None, x.dtype) and x.is_floating_point():
            x = x.to(dtype)  # what autocast does, where it can be seen
            source = Recomputed(lambda t: t.to(dtype), source)
            self.alive.append((x, source))
        before = len(self.saved)
        output = layer(x)
        if not layer.weight.requires_grad:
            # The gradient of the input is that of the weights' values alone.
            for item in self.saved[before:]:
                if _place(item.get()) == _place(x):
                    item.source = Unread(x)
        widens = layer.kernel_size == (1, 1) and (
            layer.out_channels > layer.in_channels
        )
        if not widens:
            return output, output.detach()
        # Of this pass: functional_call puts others in their place.
        weights = _detached(layer, 'weight', 'bias')
        again = _in_this_precision(layer._conv_forward, kind)
        return output, Recomputed(again, source, *weights)


def _norm(layer: nn.Module, x: Tensor) -> '_Again | None':
    """A norm of this pass once more, which updates no statistics.

    None where its output has to be kept.
    """
    if x.shape[2:] == (1, 1):
        return None  # this package's layers treat them apart
    # Of this pass: functional_call puts others in their place.
    weights = _detached(layer, 'weight', 'bias')
    again: Callable[..., Tensor]
    eps: float = getattr(layer, 'eps', 0.0)
    if isinstance(layer, nn.GroupNorm):
        groups = layer.num_groups

        def again(t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return F.group_norm(t, groups, weight, bias, eps)

    elif isinstance(layer, nn.InstanceNorm2d):
        if layer.track_running_stats:
            return None

        def again(t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return F.instance_norm(t, weight=weight, bias=bias, eps=eps)

    elif not isinstance(layer, nn.BatchNorm2d):
        return None  # SyncBN would ask other processes again
    else:
        own = layer.training or layer.running_mean is None
        if not own:
            # PyTorch updates the statistics without counting a version; the
            # number of batches has one.
            names = ('running_mean', 'running_var', 'num_batches_tracked')
            weights += _detached(layer, *names)

        def again(
            t: Tensor,
            weight: Tensor,
            bias: Tensor,
            mean: Tensor | None = None,
            variance: Tensor | None = None,
            batches: Tensor | None = None,
        ) -> Tensor:
            return F.batch_norm(t, mean, variance, weight, bias, own, 0.0, eps)

    return _in_this_precision(again, x.device.type), weights


def _detached(layer: nn.Module, *names: str) -> tuple[Tensor | None, ...]:
    found = (getattr(layer, name, None) for name in names)
    return tuple(None if t is None else t.detach() for t in found)


def _in_this_precision(
    function: Callable[..., Tensor], kind: str
) -> Callable[..., Tensor]:
    """The function, run by the autocast of the forward pass, or without."""
    precision = _autocast(kind)

    def run(*inputs: Tensor | None) -> Tensor:
        if _autocast(kind) == precision:
            return function(*inputs)
        enabled = precision is not None
        with torch.autocast(kind, dtype=precision, enabled=enabled):
            return function(*inputs)

    return run


def _autocast(kind: str) -> torch.dtype | None:
    if not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def _version(tensor: Tensor) -> int:
    """How often it was written to; those of inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """What two tensors of one memory and form have in common."""
    return (
        tensor.untyped_storage()._cdata,
        tensor.storage_offset(),
        tensor.shape,
        tensor.dtype,
    )
