# Copyright (c) mmdiffkd contributors.
"""The calls of modules in a forward pass, as they nest."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass
class Call:
    """One call of a module.

    Attributes:
        number (int): Counts the calls of all modules.
        name (str): Name of the module in the model.
        index (int): Counts the calls of this module.
        module (nn.Module): The module.
        children (list[Call]): The calls made in it.
        inputs (int): Calls that its inputs depend on, a bit each.
        flops (int): Operations outside of its children, two for each
            multiply-add.
        writes_back (bool): Whether it writes to tensors older than itself,
            which others may read.
    """

    number: int
    name: str
    index: int
    module: nn.Module
    children: list['Call'] = field(default_factory=list)
    inputs: int = 0
    flops: int = 0
    writes_back: bool = False

    def below(self) -> Iterator['Call']:
        """This call and all that are made in it."""
        yield self
        for child in self.children:
            yield from child.below()

    def itself(self) -> int:
        """The set of these calls."""
        found = 0
        for call in self.below():
            found |= 1 << call.number
        return found

    def everything(self) -> int:
        """These calls, and all that its inputs depend on."""
        return self.inputs | self.itself()


class CallTree:
    """Follows the calls of a model's modules within its context.

    Args:
        model (nn.Module): The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.calls: list[Call] = []
        #: The calls that have not returned, the innermost last.
        self.open: list[Call] = []
        self._model = model
        self._hooks = ExitStack()

    def __enter__(self) -> 'CallTree':
        try:
            for name, module in self._model.named_modules():
                self._follow(name, module)
        except Exception:
            self._hooks.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()

    def entered(self, call: Call, given: Any) -> None:
        """A call begins, with these arguments."""

    def left(self, call: Call, given: Any, output: Any) -> None:
        """A call has returned."""

    def _follow(self, name: str, module: nn.Module) -> None:
        index = -1

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            nonlocal index
            index += 1
            call = Call(len(self.calls), name, index, module)
            if self.open:
                self.open[-1].children.append(call)
            self.calls.append(call)
            self.open.append(call)
            self.entered(call, (args, kwargs))

        def leave(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            # A model may have caught an error of what it called.
            while (call := self.open.pop()).module is not module:
                pass
            self.left(call, (args, kwargs), output)

        # The first to be called: others may leave the forward pass.
        for handle in (
            module.register_forward_pre_hook(
                enter, prepend=True, with_kwargs=True
            ),
            module.register_forward_hook(
                leave, prepend=True, with_kwargs=True
            ),
        ):
            self._hooks.callback(handle.remove)
