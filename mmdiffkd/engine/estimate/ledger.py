# Copyright (c) mmdiffkd contributors.
"""What is in memory, and what is computed, by the part it belongs to."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from weakref import finalize

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from ..multiply_adds import formula_of

BLOCK = 512
"""Bytes of which PyTorch's CUDA allocator gives whole multiples."""


class Entry(NamedTuple):
    """Whose memory it is, and what for.

    Attributes:
        part (str): Such as ``'student'``.
        kind (str): ``'weights'``, ``'gradients'``, ``'optimizer'`` or
            ``'features'``, which is all the rest.
    """

    part: str
    kind: str


class Ledger(TorchDispatchMode):
    """Counts the memory of tensors as they come and go, and multiply-adds.

    The memory tracker of ``torch.distributed`` does the like by module. It
    refuses frozen parameters, and knows nothing of what belongs to a teacher
    or to a distance; hence this one. Memory that a kernel needs for itself
    does not pass here.

    In the backward pass, a tensor belongs to the part in whose forward pass
    the node of the graph was made.

    Args:
        block (int): Memory of each tensor is rounded up to a multiple of it,
            in bytes. Defaults to :data:`BLOCK`.
    """

    def __init__(self, block: int = BLOCK) -> None:
        super().__init__()
        self.block = block
        self.live: Counter[Entry] = Counter()
        self.total = 0
        self.peak = 0
        #: Memory of features, the most that there was at once.
        self.most_features = 0
        #: All memory at that moment.
        self.with_most_features = 0
        self._features = 0
        #: What :attr:`live` was when :attr:`peak` was reached.
        self.at_peak: Counter[Entry] = Counter()
        #: By part and pass, ``'forward'`` or ``'backward'``.
        self.multiply_adds: Counter[tuple[str, str]] = Counter()
        # The storages themselves are only looked at.
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._part = 'student'
        self._starts: list[int] = [0]
        self._parts: list[str] = [self._part]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Let all that follows belong to a part."""
        before = self._part
        self._begin(name)
        try:
            yield
        finally:
            self._begin(before)

    def _begin(self, name: str) -> None:
        self._part = name
        self._starts.append(torch._C._autograd._get_sequence_nr())
        self._parts.append(name)

    def own(self, tensors: Iterable[Tensor], part: str, kind: str) -> None:
        """Say whose tensors these are, whether they are known or not."""
        for tensor in tensors:
            self._add(tensor, Entry(part, kind))
            held = self._known[tensor.untyped_storage()]
            self._book(held[0], -held[1])
            held[0] = Entry(part, kind)
            self._book(*held)

    def compute(self, count: int, backward: bool) -> None:
        """Note multiply-adds."""
        name = 'backward' if backward else 'forward'
        self.multiply_adds[self._owner(), name] += count

    def measure_anew(self) -> None:
        """Forget the peak and the multiply-adds so far."""
        self.peak, self.at_peak = self.total, self.live.copy()
        self.most_features = self._features
        self.with_most_features = self.total
        self.multiply_adds.clear()

    def state(self) -> tuple:
        """Peak and multiply-adds so far, for :meth:`restore`."""
        return (
            self.peak,
            self.at_peak,
            self.most_features,
            self.with_most_features,
            self.multiply_adds.copy(),
        )

    def restore(self, state: tuple) -> None:
        """Forget what was reached and computed since."""
        self.peak, self.at_peak, self.most_features = state[:3]
        self.with_most_features, self.multiply_adds = state[3:]

    def _owner(self) -> str:
        node = torch._C._current_autograd_node()
        if node is None:
            return self._part
        number = node._sequence_nr()
        return self._parts[bisect_right(self._starts, number) - 1]

    def _add(self, tensor: Tensor, entry: Entry) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = -(-storage.nbytes() // self.block) * self.block
        held = [entry, size]
        self._known[storage] = held
        finalize(storage, self._drop, held).atexit = False
        self._book(entry, size)
        if self._features > self.most_features:
            self.most_features = self._features
            self.with_most_features = self.total
        if self.total > self.peak:
            self.peak, self.at_peak = self.total, self.live.copy()

    def _drop(self, held: list) -> None:
        self._book(held[0], -held[1])

    def _book(self, entry: Entry, size: int) -> None:
        self.live[entry] += size
        self.total += size
        if entry.kind == 'features':
            self._features += size

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = formula_of(func._overloadpacket)
        if formula is not None:
            count = formula(*args, **(kwargs or {}), out_val=result)
            self.compute(count // 2, in_backward())
        _each_tensor(
            result, partial(self._add, entry=Entry(self._owner(), 'features'))
        )
        return result


def in_backward() -> bool:
    """Whether a backward pass is running."""
    return torch._C._current_autograd_node() is not None


def _each_tensor(data: Any, function: Callable[[Tensor], Any]) -> None:
    if isinstance(data, Tensor):
        function(data)
    elif isinstance(data, (list, tuple)):
        for item in data:
            _each_tensor(item, function)
