# Copyright (c) mmdiffkd contributors.
"""Compile a frozen model around what is recorded in it."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ..partial_pass import StandIn


def compile_parts(
    model: nn.Module,
    recorded: Collection[str],
    left_out: Collection[str],
    options: dict[str, Any],
) -> list[str]:
    """Compile the outermost modules inside of which nothing is recorded.

    The model is not compiled as a whole: its ``forward`` chooses by words.
    Hooks of a compiled module are called as before, since its ``forward`` is
    replaced and not its call. A module without children is left as it is:
    there is nothing to fuse.

    Args:
        model (nn.Module): Changed in place.
        recorded (Collection[str]): Names of modules with hooks.
        left_out (Collection[str]): Names of modules that some passes leave
            out (:class:`~mmdiffkd.models.partial_pass.SkippedCalls`).
        options (dict): Arguments of ``torch.compile``.

    Returns:
        list[str]: Names of the compiled modules.
    """
    compiled = []
    waiting = [*model.named_children()]
    while waiting:
        name, module = waiting.pop(0)
        if name in left_out:
            continue
        children = [(f'{name}.{n}', m) for n, m in module.named_children()]
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)) or any(
            other.startswith(f'{name}.') for other in (*recorded, *left_out)
        ):
            waiting.extend(children)
        elif children:
            module.forward = _compiled(module.forward, options)
            compiled.append(name)
    return compiled


def _compiled(
    forward: Callable[..., Any], options: dict[str, Any]
) -> Callable[..., Any]:
    fast = torch.compile(forward, **options)

    def chosen(*args: Any, **kwargs: Any) -> Any:
        inputs = tree_leaves((args, kwargs))
        # There is nothing to compute for them.
        idle = any(isinstance(value, StandIn) for value in inputs)
        return (forward if idle else fast)(*args, **kwargs)

    return chosen
