# Copyright (c) mmdiffkd contributors.
"""Bring logits of any task into the one layout (instances, classes)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdiffkd.utils import UserError


def as_instances(
    owner: str,
    student: Tensor,
    teacher: Tensor,
    num_classes: int | None = None,
) -> tuple[Tensor, Tensor]:
    """View logits of student and teacher as rows, one row an instance.

    Every position of a map is an instance, and every anchor of a position.

    Args:
        owner (str): Class of the loss, for the message.
        student (Tensor): Logits of shape (N, C) or (N, C, H, W).
        teacher (Tensor): Likewise, of the same shape; it is detached.
        num_classes (int, optional): K, where C = A * K channels are those of
            A anchors, anchor by anchor. Defaults to None: K = C.

    Returns:
        tuple[Tensor, Tensor]: Both of shape (N * H * W * A, K), in float32 or
        better, so that no loss of small differences of probabilities is
        computed in half precision.

    Raises:
        UserError: If the shapes differ, or are none of these.
    """
    if student.shape != teacher.shape:
        raise UserError(
            f'{owner}: the student has logits of shape '
            f'{tuple(student.shape)}, the teacher of {tuple(teacher.shape)}. '
            'Both need the same classes: set num_classes of the student or '
            'of the teacher (teacher.cfg_options). Maps of another size need '
            "a connector such as mmdiffkd.DiffKDConnector(resize='bilinear')"
        )
    if student.dim() not in (2, 4):
        raise UserError(
            f'{owner}: logits have shape {tuple(student.shape)}; expected '
            '(N, C) or (N, C, H, W)'
        )
    width = num_classes or student.shape[1]
    if student.shape[1] % width:
        raise UserError(
            f'{owner}: {student.shape[1]} channels (shape '
            f'{tuple(student.shape)}) are no multiple of num_classes={width}'
        )
    return _rows(student, width), _rows(teacher.detach(), width)


def _rows(logits: Tensor, width: int) -> Tensor:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.movedim(1, -1).reshape(-1, width).to(dtype)


def check_softmax(owner: str, logits: Tensor, hint: str) -> None:
    """Refuse a softmax over one class, which is 1 whatever the logit.

    Args:
        owner (str): Class of the loss, for the message.
        logits (Tensor): Shape (instances, classes).
        hint (str): What to do instead.

    Raises:
        UserError: If there is a single class.
    """
    if logits.shape[1] == 1:
        raise UserError(
            f'{owner}: the logits have one channel, and the softmax over one '
            f'class is 1 whatever the logit; {hint}'
        )


def standardize(logits: Tensor) -> Tensor:
    """Z-score over the classes (CVPR 2024, arXiv 2403.01427).

    ``(z - mean(z)) / sqrt(variance(z) + 1e-7)``, where mean and variance are
    the averages over the C logits of one instance. 1e-7 keeps the gradient of
    equal logits finite.

    Note:
        Published code divides the variance by C - 1, which is the same as
        ``tau * sqrt(C / (C - 1))`` in the softmax behind it.

    Args:
        logits (Tensor): Shape (instances, C).

    Returns:
        Tensor: Same shape, of mean 0 and deviation 1 in each row.
    """
    return F.layer_norm(logits, logits.shape[1:], eps=1e-7)
