# Copyright (c) mmdiffkd contributors.
"""ResNet for images of 32x32 pixels (He et al. 2016, section 4.2)."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .staged_backbone import (
    BATCH_NORM,
    StagedBackbone,
    conv,
    conv_norm_relu,
    norm,
)


class ZeroPadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, new channels filled with zeros.

    Half of the zero channels come before the others, half behind.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out, not fewer.
        stride (int): In pixels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        extra = out_channels - in_channels
        self.padding = (extra // 2, extra - extra // 2)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, *self.padding))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        stride (int): Of the first convolution.
        shortcut (str): ``'A'``, zero padding, or ``'B'``, a 1x1 convolution
            with norm; used only where the shape changes.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        shortcut: str,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, stride)
        self.bn1 = norm(norm_cfg, out_channels)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.bn2 = norm(norm_cfg, out_channels)
        self.relu = nn.ReLU(inplace=True)
        if stride == 1 and in_channels == out_channels:
            self.downsample: nn.Module = nn.Identity()
        elif shortcut == 'A':
            self.downsample = ZeroPadShortcut(
                in_channels, out_channels, stride
            )
        else:
            self.downsample = nn.Sequential(
                conv(in_channels, out_channels, 1, stride),
                norm(norm_cfg, out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


@MODELS.register_module()
class CIFARResNet(StagedBackbone):
    """ResNet-20, -32, -44, -56 and -110, and their wide ``x4`` variants.

    Three stages of n basic blocks, depth 6n + 2, strides 1, 2 and 4:

    =========== ===== ==================
    name        depth channels
    =========== ===== ==================
    resnet20    20    (16, 16, 32, 64)
    resnet56    56    (16, 16, 32, 64)
    resnet8x4   8     (32, 64, 128, 256)
    resnet32x4  32    (32, 64, 128, 256)
    =========== ===== ==================

    Args:
        depth (int): 6n + 2 layers.
        channels (Sequence[int]): Of the stem and the three stages. Defaults
            to (16, 16, 32, 64).
        shortcut (str): ``'A'``, zero padding, as in the paper; or ``'B'``, a
            1x1 convolution, as in the teacher zoo of CRD. Defaults to
            ``'B'``.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.

    Raises:
        UserError: If the depth is not 6n + 2, or an option is unknown.
    """

    def __init__(
        self,
        depth: int,
        channels: Sequence[int] = (16, 16, 32, 64),
        shortcut: str = 'B',
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise UserError(
                f'CIFARResNet: depth={depth} is not 6n + 2; use '
                '8, 14, 20, 26, 32, ...'
            )
        if len(channels) != 4:
            raise UserError(
                f'CIFARResNet: channels={tuple(channels)} must '
                'be four numbers, of the stem and three stages'
            )
        if shortcut not in ('A', 'B'):
            raise UserError(
                f"CIFARResNet: shortcut={shortcut!r} must be 'A' "
                "(zero padding) or 'B' (1x1 convolution)"
            )
        stem = nn.Sequential(*conv_norm_relu(3, channels[0], 3, norm_cfg))
        stages = []
        for i, stride in enumerate((1, 2, 2)):
            width, blocks = channels[i], []
            for j in range((depth - 2) // 6):
                blocks.append(
                    BasicBlock(
                        width,
                        channels[i + 1],
                        1 if j else stride,
                        shortcut,
                        norm_cfg,
                    )
                )
                width = channels[i + 1]
            stages.append(nn.Sequential(*blocks))
        super().__init__(stem, stages, **kwargs)
