# Copyright (c) mmdiffkd contributors.
"""Which calls of modules does a tensor depend on?"""

from collections.abc import Iterator
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .call_tree import Call, CallTree
from .operations import PLAIN, masks, tensors_in, written_tensors

READS = {
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
}


class DataFlow(CallTree):
    """Follows a forward pass, operation by operation.

    A set of calls is an integer, with the bit ``number`` for each. A tensor
    depends on the calls in which its storage was written, and on those that
    the inputs of these operations depend on. Where that cannot be seen, it
    depends on all calls so far.

    Args:
        model (nn.Module): The model that is run within the context.
        inputs (Any): What it is given.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__(model)
        #: Calls that must be made whatever is asked for: the host reads what
        #: they compute.
        self.pinned = 0
        #: Whether a second pass may give other values: random numbers were
        #: drawn, or the state of the model has changed. Nor may it be run
        #: again where processes wait for each other.
        self.varies = False
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}
        #: How many calls had begun when a storage was first seen.
        self._born: dict[int, int] = {}
        self._before: dict[int, list[Any]] = {}
        self._operations = _Operations(self)
        state = [*_state_of(model)]
        for tensor in [*state, *_tensors_inside(inputs)]:
            self._set(tensor, 0)
        self._state = {*map(_address, state)}

    def of(self, value: Any) -> int:
        """The calls that nested tuples, lists and dicts depend on."""
        leaves = tree_leaves(value)
        if not all(isinstance(leaf, PLAIN) for leaf in leaves):
            return self._all()  # an object that may hold tensors
        return self._tensors(leaves)

    def __enter__(self) -> 'DataFlow':
        super().__enter__()
        self._operations.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._operations.__exit__(*error)
        super().__exit__(*error)

    def entered(self, call: Call, given: Any) -> None:
        """Note what it depends on, and the state of its module."""
        call.inputs = self._tensors(given)
        self._before[call.number] = _attributes(call.module)

    def left(self, call: Call, given: Any, output: Any) -> None:
        """See whether it has changed its module, and what it gives."""
        before, after = self._before[call.number], _attributes(call.module)
        if len(before) != len(after) or not all(map(is_, before, after)):
            self.varies = True
        if not call.children:
            # Kernels outside of PyTorch make and fill tensors unseen.
            known = {*map(_address, tensors_in(given))}
            for tensor in tensors_in(output):
                if _address(tensor) not in known:
                    seen = self._get(tensor, call.itself())
                    self._set(tensor, seen | call.inputs)

    def operation(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """Run one operation of PyTorch, and note what it depends on."""
        depends = self._tensors((args, kwargs))
        if self.open:
            depends |= 1 << self.open[-1].number
        given = {*map(_address, tensors_in((args, kwargs)))}
        output = func(*args, **kwargs)
        for tensor in tensors_in(output):
            # A view is nothing new.
            if _address(tensor) not in given:
                self._set(tensor, depends)
        for tensor in written_tensors(func, args, kwargs):
            for call in self.open:
                born = self._born.get(_address(tensor), 0)
                call.writes_back |= born <= call.number
            self._set(tensor, depends)
            self.varies |= _address(tensor) in self._state
        if func is torch.ops.aten.index.Tensor:
            # Its shape depends on how many are true, and on no other value.
            self.pinned |= self._tensors(masks(args[1]))
        elif READS & set(func.tags):
            self.pinned |= depends
        self.varies |= torch.Tag.nondeterministic_seeded in func.tags
        self.varies |= 'c10d' in func.namespace
        count = flop_registry.get(func._overloadpacket)
        if count is not None and self.open:
            self.open[-1].flops += count(*args, **kwargs, out_val=output)
        return output

    def _all(self) -> int:
        return (1 << len(self.calls)) - 1

    def _tensors(self, value: Any) -> int:
        found = 0
        for tensor in tensors_in(value):
            found |= self._get(tensor)
        return found

    def _get(self, tensor: Tensor, otherwise: int | None = None) -> int:
        # The weak reference keeps the address from being used again.
        reference, depends = self._known.get(_address(tensor), (None, 0))
        if reference is None or reference.expired():
            return self._all() if otherwise is None else otherwise
        return depends

    def _set(self, tensor: Tensor, depends: int) -> None:
        address = _address(tensor)
        if address:
            if address not in self._known or self._known[address][0].expired():
                self._born[address] = len(self.calls)
            reference = StorageWeakRef(tensor.untyped_storage())
            self._known[address] = reference, depends


class _Operations(TorchDispatchMode):
    def __init__(self, flow: DataFlow) -> None:
        super().__init__()
        self._flow = flow

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        return self._flow.operation(func, args, kwargs or {})


def _address(tensor: Tensor) -> int:
    """Of the storage; 0 for a sparse tensor, which has none."""
    if tensor.layout is not torch.strided:
        return 0
    return int(tensor.untyped_storage()._cdata)


def _state_of(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from (v for v in vars(module).values() if isinstance(v, Tensor))


def _tensors_inside(value: Any) -> list[Tensor]:
    """Tensors in nested containers and in attributes of objects."""
    found, seen, waiting = [], set(), [value]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple, set)):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif hasattr(value, '__dict__') and not isinstance(value, type):
            waiting.extend(vars(value).values())
    return found


def _attributes(module: nn.Module) -> list[Any]:
    """What a forward pass could change of a module, one and two deep."""
    found = list(vars(module).values())
    for value in vars(module).values():
        if isinstance(value, dict):
            found.extend(value.values())
        elif isinstance(value, (list, set)):
            found.extend(value)
    return found
