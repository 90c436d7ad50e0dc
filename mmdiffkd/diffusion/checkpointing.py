# Copyright (c) mmdiffkd contributors.
"""Recomputation in the backward pass that leaves the statistics alone."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


class CopiedStatistics:
    """Context where norms in training update copies of their statistics.

    It may be entered again: a graph that is asked twice is recomputed twice.

    Args:
        module (nn.Module): Its norms, and those of the modules in it.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._own: list[tuple[dict[str, Any], ...]] = []

    def __enter__(self) -> None:
        for layer in self.module.modules():
            if isinstance(layer, _NormBase) and layer.training:
                self._own.append((layer._buffers, dict(layer._buffers)))
                for name, buffer in layer._buffers.items():
                    if buffer is not None:
                        layer._buffers[name] = buffer.clone()

    def __exit__(self, *error: Any) -> None:
        while self._own:
            buffers, own = self._own.pop()
            buffers.update(own)


def recomputed(
    run: Callable[..., Tensor], *inputs: Tensor, module: nn.Module
) -> Tensor:
    """What ``run(*inputs)`` gives, computed again in the backward pass.

    The norms of a module have seen a batch once, however often it is
    computed.

    Args:
        run (Callable): From the inputs to a tensor.
        *inputs (Tensor): Its inputs.
        module (nn.Module): Whose norms run.

    Returns:
        Tensor: The output.
    """
    more: dict[str, Any] = {}
    # A compiler keeps the statistics itself, and takes no such function.
    if not torch.compiler.is_compiling():
        more['context_fn'] = lambda: (nullcontext(), CopiedStatistics(module))
    output: Tensor = checkpoint(run, *inputs, use_reentrant=False, **more)
    return output
