# Copyright (c) mmdiffkd contributors.
"""What the zoo holds: each config with its model's signature and size."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .batches import OtherInput, kind_of
from .limited import without_places
from .stock_step import build
from .zoo import StockConfig, load_untrained, semantic_stride, signature


def read(config: StockConfig) -> dict[str, Any]:
    """Read a config, without building its model.

    Args:
        config (StockConfig): Any.

    Returns:
        dict: ``config``, ``library``, ``family``, and either ``signature``
        and ``detector`` (the type of its model), or ``excluded``, the reason.
    """
    row: dict[str, Any] = dict(
        config=config.name, library=config.library, family=config.family
    )
    try:
        cfg = load_untrained(config.file)
    except Exception as error:  # whatever a config of others runs into
        text = without_places(str(error).replace(config.file, config.path))
        reason = f'{type(error).__name__}: {text}'[:300]
        return dict(row, excluded=f'the config cannot be read: {reason}')
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        return dict(row, excluded='no model in it: a part of other configs')
    if 'tta_model' in cfg and 'optim_wrapper' not in cfg:
        return dict(row, excluded='no training in it')
    kind = cfg.model.type
    return dict(
        row,
        signature=signature(cfg),
        detector=kind if isinstance(kind, str) else kind.__name__,
        semantic_stride=semantic_stride(cfg),
    )


def read_family(configs: list[StockConfig]) -> dict[str, Any]:
    """Read all configs of a family; ``rows`` has one of each."""
    return dict(rows=[read(config) for config in configs])


def measure(file: str) -> dict[str, Any]:
    """Build a model without initialising it, for its size and kind.

    Args:
        file (str): Its config.

    Returns:
        dict: ``kind``, ``parameters`` (millions), ``classes`` (the numbers of
        classes of its heads), or ``excluded``.
    """
    with no_initialisation():
        model = build(load_untrained(file))
    try:
        kind = kind_of(model)
    except OtherInput as other:
        return dict(excluded=f'other input: {other}')
    count = sum(p.numel() for p in model.parameters())
    return dict(
        kind=kind,
        parameters=round(count / 1e6, 3),
        classes=sorted(
            {
                number
                for module in model.modules()
                if isinstance(number := vars(module).get('num_classes'), int)
                and number > 0
            }
        ),
    )


@torch.no_grad()
def _zero(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return tensor.zero_()


@contextlib.contextmanager
def no_initialisation() -> Iterator[None]:
    """New parameters are 0, which takes hardly any time: nobody uses them.

    Memory as it comes may hold NaN, which some models decide by.
    """
    names = [n for n in vars(nn.init) if n.endswith('_') and n[0] != '_']
    saved = {name: getattr(nn.init, name) for name in names}
    for name in names:
        setattr(nn.init, name, _zero)
    try:
        yield
    finally:
        for name, function in saved.items():
            setattr(nn.init, name, function)
