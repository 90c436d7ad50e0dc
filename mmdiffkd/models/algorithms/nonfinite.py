# Copyright (c) mmdiffkd contributors.
"""Name the parts of a loss that are not finite."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from mmrazor.models.distillers import ConfigurableDistiller
from torch import Tensor


class NonFiniteGuard(Protocol):
    """Decides whether an algorithm steps on the loss of a batch.

    :class:`~mmdiffkd.engine.hooks.FiniteLossHook` is one.
    """

    def agree(self, finite: Tensor) -> Tensor:
        """Whether to step, from whether this rank's losses are finite.

        Args:
            finite (Tensor): Boolean scalar.

        Returns:
            Tensor: A scalar that is 0 for no.
        """

    def good_batch(self) -> None:
        """Hear that the batch is stepped on."""

    def handle(self, message: str, bad: bool) -> Tensor:
        """Give a loss in the place of one that is not finite, or raise.

        Args:
            message (str): What is not finite.
            bad (bool): Whether it is on this rank.

        Returns:
            Tensor: Scalar.
        """

    def log_vars(self) -> dict[str, Tensor]:
        """Scalars for the log of such an iteration."""


def nonfinite_parts(
    losses: Mapping[str, Any], distiller: ConfigurableDistiller
) -> list[str]:
    """Name component, level and connector of each loss that is not finite.

    Args:
        losses (Mapping): What the algorithm's ``loss`` returned: scalars, or
            lists of them, of which heads return one a level.
        distiller (ConfigurableDistiller): Knows which loss uses which
            connector.

    Returns:
        list[str]: Such as ``distill.loss_kd_p3 = nan (connector 'diff_p3')``
        or ``student.loss_cls[2] = inf``.
    """
    named = []
    for name, value in losses.items():
        several = isinstance(value, (list, tuple))
        for i, part in enumerate(value if several else [value]):
            if isinstance(part, Tensor) and not torch.isfinite(part).all():
                place = f'[{i}]' if several else ''
                named.append(
                    f'{name}{place} = {part.detach().mean():g}'
                    f'{_connectors(name, distiller)}'
                )
    return named


def _connectors(name: str, distiller: ConfigurableDistiller) -> str:
    name = name[len('distill.') :] if name.startswith('distill.') else ''
    mapping = distiller.loss_forward_mappings.get(name, {})
    used = {record.get('connector') for record in mapping.values()}
    used.add(name.rpartition('.')[0])
    used &= set(distiller.connectors)
    if not used:
        return ''
    return f' (connector {", ".join(map(repr, sorted(used)))})'
