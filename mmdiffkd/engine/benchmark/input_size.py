# Copyright (c) mmdiffkd contributors.
"""The size of the images that a config trains with."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

KEYS = ('crop_size', 'size', 'scale', 'img_scale', 'scales')
"""Where a transform names the size of what it gives."""

USUAL = dict(det=(800, 1344), seg=(512, 1024), cls=(224, 224))
"""Heights and widths for pipelines that name none."""


def input_size(cfg: Config, kind: str) -> tuple[int, int]:
    """Height and width of a batch, by the last transform that names a size.

    Args:
        cfg (Config): Of a training.
        kind (str): ``'det'``, ``'seg'`` or ``'cls'``.

    Returns:
        tuple[int, int]: In pixels. Images of a detector lie on their longer
        side, as most of COCO's do, and are padded to a multiple of 32.
    """
    loader = cfg.get('train_dataloader')
    found = _of_dataset(loader.get('dataset') if loader else None)
    if found is None:
        return USUAL[kind]
    if kind == 'det':
        short, long = (-(-side // 32) * 32 for side in sorted(found))
        return short, long
    return found


def _of_dataset(dataset: Any) -> tuple[int, int] | None:
    """That of a data set, else of the one that it wraps."""
    if isinstance(dataset, (list, tuple)):
        return _of_dataset(dataset[0]) if dataset else None
    if not isinstance(dataset, Mapping):
        return None
    for transform in reversed(dataset.get('pipeline') or []):
        for key in KEYS:
            size = _as_size(transform.get(key))
            if size is not None:
                return size
    inner = dataset.get('dataset') or dataset.get('datasets')
    return _of_dataset(inner)


def _as_size(value: Any) -> tuple[int, int] | None:
    """A size in pixels; of several the largest; None for what is none."""
    if isinstance(value, int) and value > 1:
        return value, value
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if all(isinstance(v, int) for v in value) and len(value) == 2:
        return (value[0], value[1]) if min(value) > 1 else None
    sizes = [size for size in map(_as_size, value) if size is not None]
    pairs = isinstance(value[0], (list, tuple))
    return max(sizes, key=lambda s: s[0] * s[1]) if sizes and pairs else None
