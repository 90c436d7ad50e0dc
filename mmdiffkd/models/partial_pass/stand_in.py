# Copyright (c) mmdiffkd contributors.
"""Tensors that have everything but values."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map

from .operations import draws_random_numbers, masks, written_tensors


class NoValuesError(RuntimeError):
    """Something wanted to keep the values of a stand-in."""


class StandIn(torch.Tensor):
    """Shape, dtype, device and strides of a tensor, and no values.

    Whatever is computed from it is a stand-in as well, and nothing is
    calculated for it. What needs values raises an error: reading one on the
    host, a shape that depends on values, a write into a tensor that has some,
    a kernel outside of PyTorch. So a tensor that is no stand-in is the same
    as it would be without any.

    Args:
        meta (Tensor): A tensor on the device ``meta``.
        device (torch.device): The device to stand for.
        lent (bool): Whether it stands for memory that is there and may be
            read by others, so that it must not be written to. Defaults to
            False.
    """

    #: For whoever meets one and does not know of them; see `size_of` of the
    #: report on the first iteration.
    has_values = False
    meta: Tensor
    lent: bool
    #: How many operations were refused so far: a model may catch the error.
    refused = 0

    @staticmethod
    def __new__(
        cls: type['StandIn'],
        meta: Tensor,
        device: torch.device,
        lent: bool = False,
    ) -> 'StandIn':
        self: StandIn = torch.Tensor._make_wrapper_subclass(
            cls,
            meta.size(),
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device=device,
        )
        self.meta = meta
        self.lent = lent
        # A foreign kernel would be given the address 0.
        torch._C._set_throw_on_mutable_data_ptr(self)
        return self

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f'StandIn({tuple(self.shape)}, {self.dtype}, {self.device})'

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        try:
            return cls._operation(func, args, kwargs or {})
        except Exception:
            StandIn.refused += 1
            raise

    @classmethod
    def _operation(cls, func: Any, args: tuple, kwargs: dict) -> Any:
        _refuse(func, args, kwargs)
        if func is torch.ops.aten.index.Tensor:
            args = args[0], _positions(args[1])
        device = kwargs.get('device')
        own: dict[int, StandIn] = {}  # in-place operations return arguments
        lent: set[int] = set()

        def to_meta(value: Any) -> Any:
            nonlocal device
            if isinstance(value, StandIn):
                device = device or value.device
                own[id(value.meta)] = value
                if value.lent:
                    lent.add(_memory(value.meta))
                return value.meta
            if isinstance(value, torch.device):
                return torch.device('meta')
            return _meta(value) if isinstance(value, Tensor) else value

        def from_meta(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            known = own.get(id(value))
            if known is not None:
                return known
            return cls(
                value, torch.device(device or 'cpu'), _memory(value) in lent
            )

        # Such as a counter of operations: there are none.
        with _disable_current_modes():
            metas = tree_map(to_meta, (args, kwargs))
            of_shapes = QUICK.get(func, func)
            return tree_map(from_meta, of_shapes(*metas[0], **metas[1]))


def _batch_norm(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Results of a batch norm, whose shapes PyTorch derives step by step."""
    *vectors, training, _, _ = rest
    given = [vector for vector in vectors if vector is not None]
    if any(vector.shape != x.shape[1:2] for vector in given):
        # An error, in PyTorch's words.
        return NATIVE_BATCH_NORM(x, *rest)
    statistics = (given or [x])[0].new_empty(x.shape[1] if training else 0)
    return torch.empty_like(x), statistics, torch.empty_like(statistics)


NATIVE_BATCH_NORM = torch.ops.aten.native_batch_norm.default
QUICK = {NATIVE_BATCH_NORM: _batch_norm}
"""Operations whose results have shapes that are known in one step."""


def stand_in(value: Any) -> Any:
    """A stand-in for a tensor; anything else is returned as it is."""
    if not isinstance(value, Tensor) or isinstance(value, StandIn):
        return value
    return StandIn(_meta(value), value.device, lent=True)


def _meta(tensor: Tensor) -> Tensor:
    return torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device='meta'
    )


def _memory(meta: Tensor) -> int:
    """What views have in common."""
    return int(meta.untyped_storage()._cdata)


def _positions(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Spell out masks with values, whose number of elements is a shape."""
    found: list[Tensor | None] = []
    for index in indices:
        if isinstance(index, StandIn) or index is None or not masks(index):
            found.append(index)
        else:
            found.extend(index.nonzero().unbind(1))
    return found


def _refuse(func: Any, args: tuple, kwargs: dict) -> None:
    if draws_random_numbers(func, args, kwargs):
        raise NoValuesError(f'{func} would draw no random numbers')
    if torch.Tag.inplace_view in func.tags:
        raise NoValuesError(f'{func} would reshape a tensor without values')
    for tensor in written_tensors(func, args, kwargs):
        if not isinstance(tensor, StandIn) or tensor.lent:
            raise NoValuesError(f'{func} would write values of a stand-in')
