# Copyright (c) mmdiffkd contributors.
"""Numbers that all ranks measure together."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes there are."""
    known = dist.is_available() and dist.is_initialized()
    return dist.get_world_size() if known else 1


@torch.no_grad()
def mean_over_ranks(
    values: Tensor, measured: bool, otherwise: Tensor
) -> Tensor:
    """Mean over the ranks that have something to measure.

    Every rank calls it, one without samples too: others wait for it. The host
    waits for nothing.

    Args:
        values (Tensor): This rank's; of any content if it has none.
        measured (bool): Whether it has.
        otherwise (Tensor): What is returned where no rank has, same shape.

    Returns:
        Tensor: Same shape, the same on all ranks.
    """
    ranks = world_size()
    if ranks == 1:
        return values if measured else otherwise
    if not measured:
        values = torch.zeros_like(values)
    found = values.new_full((), float(measured))
    dist.all_reduce(values)
    # By itself: in a longer tensor, sums may be taken in another order.
    dist.all_reduce(found)
    values /= ranks
    # A factor of exactly 1 where all ranks have something.
    return torch.where(found > 0, values * (ranks / found), otherwise)
