# Copyright (c) mmdiffkd contributors.
"""Tell maps, tokens and vectors apart by their shapes."""

from math import isqrt
from typing import NamedTuple

from .probe import Shape

MOST_CLASS_TOKENS = 8
"""DeiT's distilled models have 2, models with registers 5."""


class Layout(NamedTuple):
    """What the axes of a feature are.

    Attributes:
        kind (str): ``'map'`` (N, C, H, W), ``'tokens'`` (N, L, C) of one
            map, ``'sequence'`` (N, L, C) of several maps or none, or
            ``'vector'`` (N, C).
        channels (int): C.
        size (tuple[int, int]): (H, W) on the dummy image, (1, 1) of a vector
            and (L, 1) of a sequence.
        class_tokens (int): Leading tokens that belong to no place.
        stride (int): Pixels of the image for one place, rounded; 0 where
            that means nothing.
    """

    kind: str
    channels: int
    size: tuple[int, int]
    class_tokens: int = 0
    stride: int = 0


def layout_of(shape: Shape, image: int) -> Layout | None:
    """Read the layout of a feature.

    Tokens are those of a map if their number, without at most
    :data:`MOST_CLASS_TOKENS` leading ones, is a square that the image gives
    with a whole stride.

    Args:
        shape (Shape): Of the feature.
        image (int): Height and width of the image, in pixels.

    Returns:
        Layout | None: None of anything that is no feature.
    """
    dims = shape.dims
    if not shape.floating or not 2 <= len(dims) <= 4 or 0 in dims:
        return None
    if len(dims) == 4:
        stride = round(image / dims[2])
        return Layout('map', dims[1], (dims[2], dims[3]), stride=stride)
    if len(dims) == 2:
        return Layout('vector', dims[1], (1, 1))
    _, tokens, channels = dims
    for extra in range(min(MOST_CLASS_TOKENS, tokens - 1) + 1):
        side = isqrt(tokens - extra)
        if side > 1 and side * side == tokens - extra and not image % side:
            stride = image // side
            return Layout('tokens', channels, (side, side), extra, stride)
    return Layout('sequence', channels, (tokens, 1))
