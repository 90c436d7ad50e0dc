# Copyright (c) mmdiffkd contributors.
"""VGG as it is used on images of 32x32 pixels."""

from typing import Any

from torch import nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .staged_backbone import BATCH_NORM, StagedBackbone, norm

CHANNELS = (64, 128, 256, 512, 512)
# Convolutions of each stage (Simonyan, Zisserman 2015, Table 1; the first is
# not theirs).
DEPTHS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@MODELS.register_module()
class CIFARVGG(StagedBackbone):
    """VGG for CIFAR: five stages, strides 1, 2, 4, 8 and 8.

    Convolutions have a bias and a norm, only the first three stages are
    pooled, and one linear layer follows: so the teacher zoo of CRD has it.

    Args:
        depth (int): 8, 11, 13, 16 or 19.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.

    Raises:
        UserError: If there is no such depth.
    """

    def __init__(
        self, depth: int, norm_cfg: dict = BATCH_NORM, **kwargs: Any
    ) -> None:
        if depth not in DEPTHS:
            raise UserError(
                f'CIFARVGG: depth={depth} must be one of {sorted(DEPTHS)}'
            )
        stages, width = [], 3
        for i, (out, count) in enumerate(zip(CHANNELS, DEPTHS[depth])):
            layers = []
            for _ in range(count):
                layers += [
                    nn.Conv2d(width, out, 3, padding=1),
                    norm(norm_cfg, out),
                    nn.ReLU(inplace=True),
                ]
                width = out
            pool = nn.MaxPool2d(2) if 0 < i < 4 else nn.Identity()
            stages.append(nn.Sequential(pool, nn.Sequential(*layers)))
        super().__init__(nn.Identity(), stages, **kwargs)
