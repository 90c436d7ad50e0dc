# Copyright (c) mmdiffkd contributors.
"""How many images of which size a config trains on."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmdiffkd.utils import UserError

KEYS = ('crop_size', 'size', 'img_scale', 'scale', 'scales')
"""Where transforms of the three libraries keep the size of what they give."""

WIDTH_FIRST = {'scale', 'scales', 'img_scale'}
"""Those of them that have the width in front of the height."""

NO_SIZE = {'Albu', 'Expand', 'Normalize', 'PhotoMetricDistortion'}
"""Transforms with such keys that mean something else, or libraries of their
own inside."""


def batch_size(cfg: Config) -> int:
    """Images a device, of the config's own data loader.

    Raises:
        UserError: If the config names none.
    """
    count = (cfg.get('train_dataloader') or {}).get('batch_size')
    if not isinstance(count, int):
        raise UserError(
            'the config has no train_dataloader.batch_size; give --batch-size'
        )
    return count


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the largest batch of the training pipeline.

    Args:
        cfg (Config): With its model, whose preprocessor may pad.

    Returns:
        tuple[int, int]: In pixels; of a landscape where images keep their
        proportions.

    Raises:
        UserError: If no transform names a size.
    """
    size = None
    for transform in _transforms(cfg.get('train_dataloader')):
        size = _size_of(transform) or size
    if size is None:
        size = _size_of_source(cfg.get('train_dataloader'))
    if size is None:
        raise UserError(
            'no transform of the training pipeline names the size of its '
            'images; give --input-size HEIGHT WIDTH'
        )
    divisor = _divisor(cfg.get('model'), cfg.get('data_preprocessor'))
    height, width = (-(-side // divisor) * divisor for side in size)
    return height, width


def _transforms(part: Any) -> Iterator[Mapping]:
    """All transforms, the sets inside before what wraps them."""
    if isinstance(part, Mapping):
        if str(part.get('type')).split('.')[-1] in NO_SIZE:
            return
        for key in ('dataset', 'datasets', 'transforms', 'pipeline'):
            yield from _transforms(part.get(key))
        if any(key in part for key in KEYS):
            yield part
    elif isinstance(part, (list, tuple)):
        for item in part:
            yield from _transforms(item)


def _size_of(transform: Mapping) -> tuple[int, int] | None:
    """Height and width, the larger ones of several."""
    for key in KEYS:
        found = [_pair(item) for item in _choices(transform.get(key))]
        if any(found):
            largest = max(
                (pair for pair in found if pair),
                key=lambda pair: pair[0] * pair[1],
            )
            if transform.get('keep_ratio'):  # a longer side and a shorter
                return min(largest), max(largest)
            # Of MMCV's padding, too, the width comes first.
            pads = str(transform.get('type')).split('.')[-1] == 'Pad'
            wide = pads or key in WIDTH_FIRST
            return largest[::-1] if wide else largest
    return None


def _choices(value: Any) -> list:
    nested = isinstance(value, (list, tuple)) and any(
        isinstance(item, (list, tuple)) for item in value
    )
    return list(value) if nested else [value]


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int) and value > 1:
        return value, value
    if (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(item, int) and item > 1 for item in value)
    ):
        return value[0], value[1]
    return None


def _size_of_source(loader: Any) -> tuple[int, int] | None:
    """Of a data set whose images have one size."""
    while isinstance(loader, Mapping):
        if str(loader.get('type')).split('.')[-1].startswith('CIFAR'):
            return 32, 32
        loader = loader.get('dataset')
    return None


def _divisor(*parts: Any) -> int:
    """What the preprocessor pads both sides to a multiple of."""
    for part in parts:
        if isinstance(part, Mapping):
            if isinstance(part.get('pad_size_divisor'), int):
                return part['pad_size_divisor']
            inner = [
                part.get(k) for k in ('architecture', 'data_preprocessor')
            ]
            found = _divisor(*inner)
            if found > 1:
                return found
    return 1
