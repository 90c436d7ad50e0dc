# Copyright (c) mmdiffkd contributors.
"""MobileNetV2 as it is used on images of 32x32 pixels."""

from typing import Any

from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .staged_backbone import (
    BATCH_NORM,
    StagedBackbone,
    conv,
    conv_norm_relu,
    norm,
)

# Expansion, channels at full width, blocks and stride of each stage (Sandler
# et al. 2018, Table 2), with stride 1 for the second.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise 3x3, linear 1x1 to fewer.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        stride (int): Of the depthwise convolution.
        expansion (int): The inner width is ``expansion * in_channels``.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.residual = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            *conv_norm_relu(in_channels, inner, 1, norm_cfg),
            *conv_norm_relu(inner, inner, 3, norm_cfg, stride, groups=inner),
            conv(inner, out_channels, 1),
            norm(norm_cfg, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        return x + self.conv(x) if self.residual else self.conv(x)


@MODELS.register_module()
class CIFARMobileNetV2(StagedBackbone):
    """MobileNetV2 for CIFAR: seven stages, then a 1x1 convolution to 1280.

    The total stride is 16: an image of 32x32 pixels ends as 2x2. ReLU has no
    upper bound, and the first stage has an expansion layer of factor 1: so
    the teacher zoo of CRD has it.

    Args:
        widen_factor (float): Factor on all widths but the last. Defaults to
            0.5.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`; the 1x1 convolution is stage 7.
    """

    def __init__(
        self,
        widen_factor: float = 0.5,
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        width = int(32 * widen_factor)
        stem = nn.Sequential(*conv_norm_relu(3, width, 3, norm_cfg, stride=2))
        stages = []
        for expansion, channels, depth, stride in STAGES:
            out, blocks = int(channels * widen_factor), []
            for j in range(depth):
                blocks.append(
                    InvertedResidual(
                        width, out, 1 if j else stride, expansion, norm_cfg
                    )
                )
                width = out
            stages.append(nn.Sequential(*blocks))
        last = int(1280 * max(1.0, widen_factor))
        stages.append(nn.Sequential(*conv_norm_relu(width, last, 1, norm_cfg)))
        super().__init__(stem, stages, **kwargs)
