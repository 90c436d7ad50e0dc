# Copyright (c) mmdiffkd contributors.
"""ShuffleNet V1 and V2 as they are used on images of 32x32 pixels.

They differ from those for ImageNet by a stem of stride 1 without pooling,
and V1 by a ReLU behind the depthwise convolution as well: so the teacher zoo
of CRD has them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .staged_backbone import (
    BATCH_NORM,
    StagedBackbone,
    conv,
    conv_norm_relu,
    norm,
)

STEM_CHANNELS = 24


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Take channels from the groups in turn; the shape is kept."""
    n, c, h, w = x.shape
    return (
        x.view(n, groups, c // groups, h, w)
        .transpose(1, 2)
        .reshape(n, c, h, w)
    )


class ShuffleUnitV1(nn.Module):
    """Grouped 1x1, depthwise 3x3, grouped 1x1 (Zhang et al. 2018, Fig. 2).

    With stride 2, the pooled input is joined to the output as further
    channels instead of being added to it.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        stride (int): 1 or 2.
        groups (int): Groups of the last convolution.
        first_groups (int): Groups of the first; 1 behind the stem, whose
            channels are few.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        first_groups: int,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        branch = out_channels - (in_channels if stride == 2 else 0)
        inner = branch // 4
        self.first_groups = first_groups
        self.conv1 = conv(in_channels, inner, 1, groups=first_groups)
        self.bn1 = norm(norm_cfg, inner)
        self.conv2 = conv(inner, inner, 3, stride, groups=inner)
        self.bn2 = norm(norm_cfg, inner)
        self.conv3 = conv(inner, branch, 1, groups=groups)
        self.bn3 = norm(norm_cfg, branch)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = channel_shuffle(out, self.first_groups)
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.pool is None:
            return self.relu(out + x)
        return self.relu(torch.cat([out, self.pool(x)], 1))


@MODELS.register_module()
class CIFARShuffleNetV1(StagedBackbone):
    """ShuffleNet V1 for CIFAR: three stages, strides 2, 4 and 8.

    Args:
        channels (Sequence[int]): Of the stages. Defaults to (240, 480, 960),
            the width 1.0 of 3 groups.
        depths (Sequence[int]): Units of the stages. Defaults to (4, 8, 4).
        groups (int): Groups of the 1x1 convolutions. Defaults to 3.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.
    """

    def __init__(
        self,
        channels: Sequence[int] = (240, 480, 960),
        depths: Sequence[int] = (4, 8, 4),
        groups: int = 3,
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        stages: list[nn.Module] = []
        width = STEM_CHANNELS
        for out, depth in zip(channels, depths):
            units = []
            for j in range(depth):
                first_groups = groups if stages or j else 1
                units.append(
                    ShuffleUnitV1(
                        width,
                        out,
                        1 if j else 2,
                        groups,
                        first_groups,
                        norm_cfg,
                    )
                )
                width = out
            stages.append(nn.Sequential(*units))
        stem = nn.Sequential(*conv_norm_relu(3, STEM_CHANNELS, 1, norm_cfg))
        super().__init__(stem, stages, **kwargs)


class ShuffleUnitV2(nn.Module):
    """Half of the channels pass, half are convolved (Ma et al. 2018, Fig. 3c).

    Args:
        channels (int): Channels in and out.
        norm_cfg (dict): Norm layer.
    """

    def __init__(self, channels: int, norm_cfg: dict) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv(half, half, 1)
        self.bn1 = norm(norm_cfg, half)
        self.conv2 = conv(half, half, 3, groups=half)
        self.bn2 = norm(norm_cfg, half)
        self.conv3 = conv(half, half, 1)
        self.bn3 = norm(norm_cfg, half)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        passed, out = x.chunk(2, dim=1)
        out = self.relu(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        out = self.relu(self.bn3(self.conv3(out)))
        return channel_shuffle(torch.cat([passed, out], 1), 2)


class DownUnitV2(nn.Module):
    """Both halves are convolved with stride 2 (Ma et al. 2018, Fig. 3d).

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: dict
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = conv(in_channels, in_channels, 3, 2, groups=in_channels)
        self.bn1 = norm(norm_cfg, in_channels)
        self.conv2 = conv(in_channels, half, 1)
        self.bn2 = norm(norm_cfg, half)
        self.conv3 = conv(in_channels, half, 1)
        self.bn3 = norm(norm_cfg, half)
        self.conv4 = conv(half, half, 3, 2, groups=half)
        self.bn4 = norm(norm_cfg, half)
        self.conv5 = conv(half, half, 1)
        self.bn5 = norm(norm_cfg, half)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / 2, W / 2)."""
        left = self.bn1(self.conv1(x))
        left = self.relu(self.bn2(self.conv2(left)))
        right = self.relu(self.bn3(self.conv3(x)))
        right = self.bn4(self.conv4(right))
        right = self.relu(self.bn5(self.conv5(right)))
        return channel_shuffle(torch.cat([left, right], 1), 2)


@MODELS.register_module()
class CIFARShuffleNetV2(StagedBackbone):
    """ShuffleNet V2 for CIFAR: stages of strides 2, 4, 8, then a 1x1
    convolution as a stage of its own.

    Args:
        channels (Sequence[int]): Of the four stages. Defaults to
            (116, 232, 464, 1024), the width 1.0.
        depths (Sequence[int]): Units of the first three, the one of stride 2
            included. Defaults to (4, 8, 4).
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.
    """

    def __init__(
        self,
        channels: Sequence[int] = (116, 232, 464, 1024),
        depths: Sequence[int] = (4, 8, 4),
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        stages, width = [], STEM_CHANNELS
        for out, depth in zip(channels, depths):
            units = [ShuffleUnitV2(out, norm_cfg) for _ in range(1, depth)]
            stages.append(
                nn.Sequential(DownUnitV2(width, out, norm_cfg), *units)
            )
            width = out
        stages.append(
            nn.Sequential(*conv_norm_relu(width, channels[-1], 1, norm_cfg))
        )
        stem = nn.Sequential(*conv_norm_relu(3, STEM_CHANNELS, 1, norm_cfg))
        super().__init__(stem, stages, **kwargs)
