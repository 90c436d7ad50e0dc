# Copyright (c) mmdiffkd contributors.
"""What a paired connector returns."""

from typing import NamedTuple

from torch import Tensor


class PairedOutput(NamedTuple):
    """Both sides of a pair of features, ready for a distance.

    Attributes:
        student (Tensor): Student side, with gradient.
        teacher (Tensor): Teacher side, the target, of the same shape.
        losses (dict[str, Tensor]): Further losses, scalars, by name.
        stats (dict[str, Tensor]): Detached scalars for the log, by name.
    """

    student: Tensor
    teacher: Tensor
    losses: dict[str, Tensor] = {}
    stats: dict[str, Tensor] = {}
