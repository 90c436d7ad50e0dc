# Copyright (c) mmdiffkd contributors.
"""MobileNet V1 (Howard et al. 2017)."""

from typing import Any

from torch import nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .staged_backbone import BATCH_NORM, StagedBackbone, conv_norm_relu

# Channels at full width of the separable convolutions of each stage (Table
# 1). The first of a stage has stride 2, but for the first stage.
STAGES = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


def separable(
    in_channels: int, out_channels: int, stride: int, norm_cfg: dict
) -> list[nn.Module]:
    """Depthwise 3x3, then 1x1, each with norm and ReLU (Fig. 3)."""
    return [
        *conv_norm_relu(
            in_channels, in_channels, 3, norm_cfg, stride, groups=in_channels
        ),
        *conv_norm_relu(in_channels, out_channels, 1, norm_cfg),
    ]


@MODELS.register_module()
class MobileNetV1(StagedBackbone):
    """MobileNet V1: five stages, strides 2, 4, 8, 16 and 32.

    Args:
        widen_factor (float): Factor on all widths, the paper's alpha.
            Defaults to 1.0.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.

    Raises:
        UserError: If the factor leaves no channels.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        width = int(32 * widen_factor)
        if width < 1:
            raise UserError(
                f'MobileNetV1: widen_factor={widen_factor} leaves no channels'
            )
        stem = nn.Sequential(*conv_norm_relu(3, width, 3, norm_cfg, stride=2))
        stages = []
        for i, channels in enumerate(STAGES):
            blocks = []
            for j, out in enumerate(channels):
                out = int(out * widen_factor)
                blocks.append(
                    nn.Sequential(
                        *separable(
                            width, out, 2 if i and not j else 1, norm_cfg
                        )
                    )
                )
                width = out
            stages.append(nn.Sequential(*blocks))
        super().__init__(stem, stages, **kwargs)
