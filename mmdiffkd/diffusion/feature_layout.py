# Copyright (c) mmdiffkd contributors.
"""Bring vectors, tokens and maps into the one layout (N, C, H, W)."""

from math import isqrt
from typing import Any

import torch.nn.functional as F
from torch import Tensor

#: Modes of :func:`F.interpolate` for maps.
RESIZE_MODES = ('nearest', 'nearest-exact', 'bilinear', 'bicubic', 'area')


#: ``token_shape`` of tokens that fill no single map.
SEQUENCE = 'sequence'

#: ``token_shape`` of tokens that fill a square, however many they are.
SQUARE = 'square'

TokenShape = (
    tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str | None
)
ClassTokens = int | tuple[int, int]


def check_tokens(token_shape: Any, num_class_tokens: Any) -> None:
    """Raise ValueError unless both are as :func:`token_layout` takes them."""
    for side in ('student', 'teacher'):
        shape, dropped = token_layout(side, token_shape, num_class_tokens)
        if isinstance(shape, str):
            fits = shape in (SEQUENCE, SQUARE)
        else:
            fits = shape is None or (len(shape) == 2 and min(shape) >= 1)
        if not fits:
            raise ValueError(
                'token_shape must be (H, W) of at least (1, 1), one such for '
                f'the student and one for the teacher, {SQUARE!r} or '
                f'{SEQUENCE!r}, got {token_shape!r}'
            )
        if dropped < 0:
            raise ValueError(
                'num_class_tokens must not be negative, got '
                f'{num_class_tokens}'
            )


def token_layout(
    side: str, token_shape: Any, num_class_tokens: Any
) -> tuple[Any, int]:
    """What holds for one side, where a pair gives the student's first.

    Args:
        side (str): ``'student'`` or ``'teacher'``.
        token_shape (TokenShape): (H, W) for both, a pair of such,
            ``'square'`` or ``'sequence'``.
        num_class_tokens (ClassTokens): A number for both, or a pair.

    Returns:
        tuple: ``token_shape`` and ``num_class_tokens`` of this side.
    """
    index = 0 if side == 'student' else 1
    if isinstance(token_shape, (tuple, list)) and any(
        isinstance(shape, (tuple, list)) for shape in token_shape
    ):
        token_shape = token_shape[index]
    if isinstance(num_class_tokens, (tuple, list)):
        num_class_tokens = num_class_tokens[index]
    return token_shape, num_class_tokens


def as_map(
    feature: Tensor,
    side: str,
    token_shape: tuple[int, int] | str | None = None,
    num_class_tokens: int = 0,
) -> Tensor:
    """View a feature as a map.

    Args:
        feature (Tensor): A map (N, C, H, W), a vector (N, C), which becomes
            (N, C, 1, 1), or tokens (N, L, C), which become (N, C, H, W).
        side (str): 'student' or 'teacher', for the message.
        token_shape (tuple[int, int] | str, optional): (H, W) of tokens;
            ``'square'``, whatever their number, as of square images of any
            size; or ``'sequence'``: they become (N, C, L, 1). Defaults to
            None: there are none.
        num_class_tokens (int): Leading tokens to drop. Defaults to 0.

    Returns:
        Tensor: Shape (N, C, H, W).

    Raises:
        ValueError: If the shape fits none of these.
    """
    if feature.dim() == 4:
        return feature
    if feature.dim() == 2:
        return feature[:, :, None, None]
    if feature.dim() != 3:
        raise ValueError(
            f'the {side} feature has shape {tuple(feature.shape)}; expected '
            'a map (N, C, H, W), tokens (N, L, C) or a vector (N, C)'
        )
    tokens = feature[:, num_class_tokens:]
    if token_shape == SEQUENCE:
        return tokens.transpose(1, 2).unsqueeze(3)
    count = tokens.shape[1]
    shape: Any = token_shape
    if token_shape == SQUARE:
        shape = (isqrt(count), isqrt(count))
    if shape is None or count != shape[0] * shape[1]:
        raise ValueError(
            f'the {side} feature has {count} tokens (shape '
            f'{tuple(feature.shape)}, {num_class_tokens} class tokens '
            f'dropped), which do not fill token_shape={token_shape!r}; if '
            'they are the tokens of one map, set token_shape=(H, W) and '
            'num_class_tokens of the connector; if they are those of several '
            'levels, or their number changes with the image, set '
            f'token_shape={SEQUENCE!r} with '
            "denoiser=dict(type='MLPDenoiser'), or record the maps that they "
            "are made of, such as those of source='neck'"
        )
    size = (*tokens.shape[::2], *shape)
    return tokens.transpose(1, 2).reshape(size)


def check_channels(feature: Tensor, channels: int, side: str) -> None:
    """Raise ValueError unless a map (N, C, H, W) has C = ``channels``."""
    if feature.shape[1] != channels:
        raise ValueError(
            f'the {side} feature has {feature.shape[1]} channels (shape '
            f'{tuple(feature.shape)}), but {side}_channels={channels}; set '
            f'{side}_channels={feature.shape[1]} or record another module'
        )


def match_size(student: Tensor, teacher: Tensor, resize: str | None) -> Tensor:
    """Resize the student map to the height and width of the teacher's.

    Args:
        student (Tensor): Shape (N, C, H, W).
        teacher (Tensor): Shape (N, C', H', W').
        resize (str, optional): Mode of :func:`F.interpolate`, or None to
            refuse.

    Returns:
        Tensor: Student map of shape (N, C, H', W').

    Raises:
        ValueError: If batch sizes differ, or sizes do and ``resize`` is None.
    """
    if student.shape[0] != teacher.shape[0]:
        raise ValueError(
            f'student feature {tuple(student.shape)} and teacher feature '
            f'{tuple(teacher.shape)} differ in batch size'
        )
    size = teacher.shape[2:]
    if student.shape[2:] == size:
        return student
    if resize is None:
        # Bilinear shrinking by more than 2 would skip most of the pixels.
        shrinks = any(s > 2 * t for s, t in zip(student.shape[2:], size))
        raise ValueError(
            f'student feature {tuple(student.shape)} and teacher feature '
            f'{tuple(teacher.shape)} differ in height or width; pair levels '
            f"of equal stride, or set resize='"
            f"{'area' if shrinks else 'bilinear'}' of the connector"
        )
    return F.interpolate(student, size=size, mode=resize)
