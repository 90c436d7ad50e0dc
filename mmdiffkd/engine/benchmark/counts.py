# Copyright (c) mmdiffkd contributors.
"""What a step computes, counted: multiply-adds and parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..multiply_adds import OURS


class Parts(NamedTuple):
    """A number for each part of a distillation.

    Attributes:
        student (int): Of the student.
        teacher (int): Of what ran of the teacher.
        connectors (int): Of all that the distiller adds, losses included.
    """

    student: int
    teacher: int = 0
    connectors: int = 0


class Work(NamedTuple):
    """What a step was seen to do.

    Attributes:
        multiply_adds (int): Forward and backward.
        used_parameters (int): Those of a module that it computed with.
    """

    multiply_adds: int
    used_parameters: int = 0


def work_of(step: Callable[[], Any], module: nn.Module | None = None) -> Work:
    """Count what a step does, once.

    Multiply-adds are counted by PyTorch's own counter, which knows
    convolutions, matrix products and attention. Norms, activations and
    operators of other libraries, such as MMCV's, count nothing.

    Args:
        step (Callable): What to count.
        module (nn.Module, optional): Such as the teacher, of which a part
            runs. Defaults to None.
    """
    seen = _Seen(module)
    counter = FlopCounterMode(display=False, custom_mapping=OURS)
    with counter, seen:
        step()
    # It counts a multiplication and an addition as two.
    used = sum(p.numel() for p in seen.found.values())
    return Work(counter.get_total_flops() // 2, used)


def parameters(module: nn.Module | None) -> int:
    """Number of them; 0 without a module."""
    return sum(p.numel() for p in module.parameters()) if module else 0


class _Seen(TorchDispatchMode):
    """Notes which parameters reach an operator."""

    def __init__(self, module: nn.Module | None) -> None:
        super().__init__()
        self.found: dict[int, Tensor] = {}
        self._known = {id(p) for p in module.parameters()} if module else set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, torch.Tensor) and id(leaf) in self._known:
                self.found[id(leaf)] = leaf
        return func(*args, **(kwargs or {}))
