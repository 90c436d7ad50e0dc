# Copyright (c) mmdiffkd contributors.
"""Run what needs values, such as an assigner of boxes, for real.

Fake tensors have shapes and no values. Where a module asks for one (which
anchors fit this box?), the innermost function of the model around the question
is run again on random numbers of the same shapes, forward and backward, and
what it kept and needed on the way is put in its place.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import ismethod
from types import MethodType
from typing import Any, NamedTuple

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.weak import WeakIdKeyDictionary

from .ledger import Ledger, in_backward
from .twins import Twins

FUNCTIONS = ('forward', 'loss', 'predict')
"""How the functions begin that may be run for real: those of modules."""


class Measured(NamedTuple):
    """What a function needed, in bytes and multiply-adds.

    Attributes:
        kept (int): For the backward pass, its inputs left out.
        forward (int): At most, on the way.
        backward (int): Likewise, with what was kept.
        multiply_adds (tuple[int, int]): Of forward and backward pass.
    """

    kept: int
    forward: int
    backward: int
    multiply_adds: tuple[int, int]


class Found:
    """Functions that were run for real, for all steps of an estimate.

    Attributes:
        reasons (dict[str, str]): Why, by the name of the function.
        results (dict): What came out, and what it needed, by the name and the
            forms of what went in: no values of those decide either.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.results: dict[tuple, tuple[Any, list[list], Measured]] = {}


class RealSections:
    """Watches the functions of a model that may need values.

    Args:
        twins (Twins): Of the model.
        ledger (Ledger): Is told what was needed.
        recorders (Callable): Gives the lists to which the model's hooks
            append what they see.
        found (Found): What is known of such functions, and will be.
    """

    def __init__(
        self,
        twins: Twins,
        ledger: Ledger,
        recorders: Callable[[], list[list]],
        found: Found,
    ) -> None:
        self.twins = twins
        self.ledger = ledger
        self.recorders = recorders
        self.found = found
        # Values of the fakes that such a function has returned, by storage:
        # a detached one has it, too.
        self._values = WeakIdKeyDictionary()
        self._running = False

    @contextmanager
    def watch(self, name: str, model: nn.Module) -> Iterator[None]:
        """Watch a model, whose functions will be named after it."""
        changed = []
        for path, module in model.named_modules():
            for function in dir(type(module)):
                if not function.startswith(FUNCTIONS):
                    continue
                own = getattr(module, function)
                if ismethod(own) and function not in vars(module):
                    label = '.'.join(filter(None, (name, path, function)))
                    setattr(module, function, self._watched(label, own))
                    changed.append((module, function))
        try:
            yield
        finally:
            for module, function in changed:
                delattr(module, function)

    def _watched(self, label: str, function: MethodType) -> Callable:

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._running:
                return function(*args, **kwargs)
            if label not in self.found.reasons:
                if in_backward():  # checkpoints stop by an exception
                    return function(*args, **kwargs)
                # It may take apart what it is given, and is called again.
                own, words = _map((args, kwargs), lambda tensor: tensor)
                with self._attempt(label):
                    return function(*own, **words)
            return self._run(label, function, args, kwargs)

        return watched

    @contextmanager
    def _attempt(self, label: str) -> Iterator[None]:
        """Undo what a function has done if it needs values."""
        lengths = [len(record) for record in self.recorders()]
        before = self.ledger.state()
        try:
            yield
        except Exception as error:  # which only fakes may have
            self.found.reasons[label] = _line(error)
            for record, length in zip(self.recorders(), lengths):
                del record[length:]
        else:
            return
        gc.collect()  # its calls may hold each other, and their tensors
        self.ledger.restore(before)

    def _run(
        self, label: str, function: MethodType, args: Any, kwargs: Any
    ) -> Any:
        """Run for real, and give fakes of what came out."""
        inputs: dict[int, Tensor] = {}

        def note(tensor: Tensor) -> Tensor:
            if isinstance(tensor, FakeTensor):
                inputs[id(tensor)] = tensor
            return tensor

        _map((args, kwargs), note)
        module: Any = function.__self__
        grad = torch.is_grad_enabled()
        key = label, grad, *(_form(t) for t in inputs.values())
        with self.twins.awake(module) as weights:
            if key not in self.found.results:
                self.found.results[key] = self._result(
                    function, args, kwargs, inputs, weights
                )
        outputs, new, measured = self.found.results[key]
        inputs.update({id(weight): weight for weight in weights})
        receiving = [t for t in inputs.values() if grad and t.requires_grad]
        outputs, new = self._fakes((outputs, new), receiving, measured)
        for record, items in zip(self.recorders(), new):
            record.extend(items)
        return outputs

    def _result(
        self,
        function: MethodType,
        args: Any,
        kwargs: Any,
        inputs: dict[int, Tensor],
        weights: list[Tensor],
    ) -> tuple[Any, list[list], Measured]:
        """What a function gives, and its hooks see, and what it needs."""
        grad = torch.is_grad_enabled()
        lengths = [len(record) for record in self.recorders()]
        self._running = True
        try:
            with _disable_current_modes():
                real = {key: self._value(t) for key, t in inputs.items()}
                for key, tensor in inputs.items():
                    real[key].requires_grad_(tensor.requires_grad and grad)
                args, kwargs = _map(
                    (args, kwargs), lambda t: real.get(id(t), t)
                )
                twins = [self.twins.real(weight) for weight in weights]
                outputs, measured = _measure(
                    lambda: function(*args, **kwargs),
                    [*real.values(), *(t for t in twins if t is not None)],
                    self.ledger.block,
                )
        finally:
            self._running = False
        new = []
        for record, length in zip(self.recorders(), lengths):
            new.append(record[length:])
            del record[length:]
        return outputs, new, measured

    def _value(self, fake: Tensor) -> Tensor:
        """Random numbers in the place of a fake, or what it stands for."""
        known = self._values.get(fake.untyped_storage())
        if known is not None and known.shape == fake.shape:
            return known.detach()
        real = self.twins.real(fake)
        if real is not None:
            return real.detach()
        if fake.is_floating_point():
            # As small as the predictions of a new head.
            return 0.01 * torch.randn(fake.shape, dtype=fake.dtype)
        return torch.zeros(fake.shape, dtype=fake.dtype)

    def _fakes(
        self,
        outputs: Any,
        receiving: list[Tensor],
        measured: Measured,
    ) -> Any:
        """Fakes of all outputs, with a graph that needs what was measured."""
        found = _tensors(outputs)
        passing = [t for t in found if t.requires_grad]
        made: dict[int, Tensor] = {}
        self.ledger.compute(measured.multiply_adds[0], False)
        results = _InPlace.apply(
            self.ledger, measured, [_form(t) for t in passing], *receiving
        )
        for real, fake in zip(passing, results):
            made[id(real)] = fake
        for real in found:
            if id(real) not in made:
                made[id(real)] = _empty(_form(real))
            with _disable_current_modes():
                value = real.detach()
            self._values[made[id(real)].untyped_storage()] = value
        return _map(outputs, lambda t: made[id(t)], elements=False)


class _InPlace(torch.autograd.Function):
    """Takes the memory that was measured, and computes nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        ledger: Ledger,
        measured: Measured,
        forms: list,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.ledger, ctx.measured = ledger, measured
        kept = _bytes(measured.kept)
        _bytes(measured.forward - measured.kept)
        ctx.save_for_backward(kept, *inputs)
        return tuple(_empty(form) for form in forms)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple:
        kept, *inputs = ctx.saved_tensors
        ctx.ledger.compute(ctx.measured.multiply_adds[1], True)
        gradients = [torch.empty_like(i) for i in inputs]
        size = sum(g.untyped_storage().nbytes() for g in gradients)
        _bytes(ctx.measured.backward - len(kept) - size)
        return (None, None, None, *gradients)


def _measure(
    function: Callable[[], Any], inputs: list[Tensor], block: int
) -> tuple[Any, Measured]:
    """Run a function and its backward pass, and see what they need."""
    trained = [t for t in inputs if t.requires_grad]
    before = [(t, t.grad) for t in trained if t.is_leaf]
    ledger = Ledger(block)
    ledger.own(inputs, 'inputs', 'weights')
    start = ledger.total
    with ledger:
        outputs = function()
        kept, forward = ledger.total - start, ledger.peak - start
        ledger.peak = ledger.total
        loss = _sum(outputs)
        if loss is not None:
            loss.backward()
    for tensor, grad in before:
        tensor.grad = grad
    counted: dict[str, int] = {'forward': 0, 'backward': 0}
    for (_, name), count in ledger.multiply_adds.items():
        counted[name] += count
    return outputs, Measured(
        kept if loss is not None else 0,
        forward,
        ledger.peak - start,
        (counted['forward'], counted['backward']),
    )


def _sum(outputs: Any) -> Tensor | None:
    """The sum of what has a gradient."""
    sums = [t.sum() for t in _tensors(outputs) if t.requires_grad]
    return sum(sums[1:], sums[0]) if sums else None


def _tensors(data: Any) -> list[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _map(data, note)
    return found


def _map(
    data: Any, function: Callable[[Tensor], Any], elements: bool = True
) -> Any:
    """Put another tensor in the place of each one.

    Args:
        data (Any): Nested lists, tuples and dicts.
        function (Callable): Gives the other one.
        elements (bool): Whether to look into the data elements of MMEngine.
    """
    if isinstance(data, Tensor):
        return function(data)
    if type(data) is dict:  # a config holds no tensors
        return {k: _map(v, function, elements) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        items = [_map(item, function, elements) for item in data]
        plain = type(data) in (list, tuple)
        return type(data)(items) if plain else type(data)(*items)
    if isinstance(data, BaseDataElement) and elements:
        copy = data.new()
        for key, item in data.items():
            copy.set_field(_map(item, function), key, dtype=None)
        return copy
    return data


def _form(tensor: Tensor) -> tuple:
    return tuple(tensor.shape), tensor.dtype, tensor.requires_grad


def _empty(form: tuple) -> Tensor:
    return torch.empty(form[0], dtype=form[1])


def _bytes(count: int) -> Tensor:
    return torch.empty(max(count, 0), dtype=torch.uint8)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0]}'
