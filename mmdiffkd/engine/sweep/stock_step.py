# Copyright (c) mmdiffkd contributors.
"""One training step of a model, by hand, on random images of a small size."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmdiffkd.models.widths.probe import own_sizes
from mmdiffkd.utils import NonFiniteLossError

from .batches import batch, kind_of, pad_to
from .zoo import semantic_stride, with_few_samples

FIRST = dict(det=128, seg=64, cls=64)
"""Sides of the images that are tried first, in pixels, by kind of model."""
OTHERS = (256, 224, 320, 32, 512)


class Failed(Exception):
    """A step that went wrong, with the reason in a line."""


class Step(NamedTuple):
    """A training step.

    Attributes:
        size (int): Height and width of the images, in pixels.
        losses (dict[str, float]): As they would stand in the log.
    """

    size: int
    losses: dict[str, float]


def build(cfg: Config) -> Any:
    """Build the model of a config, to be trained on few regions."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(with_few_samples(cfg.model))


def sizes_of(model: nn.Module) -> list[int]:
    """Sides to try for a model: a small one, its own, and common ones."""
    kind = kind_of(model)
    return list(dict.fromkeys([FIRST[kind], *own_sizes(model), *OTHERS]))


def first_that_works(
    sizes: Iterable[int], attempt: Callable[[int], Any]
) -> tuple[int, Any]:
    """Go through the sizes until one succeeds.

    Args:
        sizes (Iterable[int]): In pixels.
        attempt (Callable): What to do with one.

    Returns:
        tuple[int, Any]: The size, and what came of it.

    Raises:
        Exception: If no size works, what the model says it cannot do, else
            that of the first size. A lack of memory is raised at once, as
            larger images would need more; so is a loss that is not finite,
            which no size mends.
    """
    first: Exception | None = None
    for size in sizes:
        try:
            return size, attempt(size)
        except (MemoryError, NonFiniteLossError):
            raise
        except Exception as error:
            if 'alloc' in str(error) and 'memory' in str(error):
                raise MemoryError(str(error)) from error
            if first is None or isinstance(error, NotImplementedError):
                first = error
    assert first is not None
    raise first


def losses_of(model: Any, cfg: Config, size: int, stock: Any = None) -> Any:
    """The forward pass of a training step.

    Args:
        model (BaseModel): In training mode.
        cfg (Config): Stock config of the model, or of the student in it.
        size (int): Height and width of the images, in pixels.
        stock (nn.Module, optional): What to make images for, where ``model``
            is not itself of a library. Defaults to None.

    Returns:
        tuple[Tensor, dict]: Their sum, and those for the log.
    """
    scope = cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope):
        # YOLOX's preprocessor and TOOD's head ask how far the Runner is.
        MessageHub.get_current_instance().update_info_dict(
            dict(iter=0, epoch=0)
        )
        pad_to(model.data_preprocessor, size)
        data = batch(stock or model, size, 2, semantic_stride(cfg))
        data = model.data_preprocessor(data, True)
        return model.parse_losses(model(**data, mode='loss'))


def train_step(
    model: Any, cfg: Config, sizes: Iterable[int], stock: Any = None
) -> Step:
    """Make one step of the config's own optimizer.

    Args:
        model (BaseModel): Built; put into training mode.
        cfg (Config): As for :func:`losses_of`; its ``optim_wrapper`` is used.
        sizes (Iterable[int]): Sides of images to try, in pixels.
        stock (nn.Module, optional): As for :func:`losses_of`.

    Raises:
        Failed: If a loss is not finite, or the model gets no gradient.
    """
    model.train()
    size, (total, log) = first_that_works(
        sizes, lambda side: losses_of(model, cfg, side, stock)
    )
    losses = {k: float(v) for k, v in log.items() if torch.is_tensor(v)}
    if not torch.isfinite(total):
        bad = [
            k for k, v in losses.items() if v != v or abs(v) == float('inf')
        ]
        raise Failed(f'losses that are not finite: {", ".join(bad)}')
    wrapper = optimizer(model, cfg)
    wrapper.backward(total)
    trained = stock or model
    if not any(
        p.grad is not None and bool(p.grad.any()) for p in trained.parameters()
    ):
        raise Failed('the model gets no gradient')
    wrapper.step()
    return Step(size, losses)


def optimizer(model: nn.Module, cfg: Config, amp: str | None = None) -> Any:
    """Build the optimizer of a config.

    Args:
        model (nn.Module): What it trains.
        cfg (Config): With an ``optim_wrapper``; its mixed precision and its
            accumulation of gradients are left out.
        amp (str, optional): Type of mixed precision, ``'float16'`` or
            ``'bfloat16'``; it needs a GPU. Defaults to None: single precision.

    Returns:
        OptimWrapper: It steps each time.
    """
    wanted = cfg.get('optim_wrapper') or dict(
        optimizer=dict(type='SGD', lr=0.01)
    )
    wanted = {
        k: v
        for k, v in wanted.items()
        if k not in ('loss_scale', 'dtype', 'use_fp16', 'accumulative_counts')
    }
    wanted['type'] = 'OptimWrapper'
    if amp is not None:
        wanted.update(type='AmpOptimWrapper', dtype=amp)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_optim_wrapper(model, wanted)
