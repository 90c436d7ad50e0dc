# Copyright (c) mmdiffkd contributors.
"""Wide ResNet for images of 32x32 pixels (Zagoruyko, Komodakis 2016)."""

from typing import Any

from torch import Tensor, nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .staged_backbone import BATCH_NORM, StagedBackbone, conv, norm


class PreActivationBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice, beside a shortcut.

    Where the channels change, the shortcut is a 1x1 convolution, and begins
    behind the first ReLU.

    Args:
        in_channels (int): Channels in.
        out_channels (int): Channels out.
        stride (int): Of the first convolution.
        dropout (float): Probability, between the convolutions.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        dropout: float,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.bn1 = norm(norm_cfg, in_channels)
        self.conv1 = conv(in_channels, out_channels, 3, stride)
        self.bn2 = norm(norm_cfg, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            None
            if in_channels == out_channels
            else conv(in_channels, out_channels, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = self.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.relu(self.bn2(self.conv1(out)))
        return shortcut + self.conv2(self.dropout(out))


@MODELS.register_module()
class CIFARWideResNet(StagedBackbone):
    """WRN-d-k: three stages of (d - 4) / 6 blocks, strides 1, 2 and 4.

    The last stage ends with a norm and ReLU, so its map is what is pooled.

    Args:
        depth (int): d = 6n + 4 layers.
        widen_factor (int): k; the stages have 16k, 32k and 64k channels.
            Defaults to 1.
        dropout (float): Probability within the blocks. Defaults to 0.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        **kwargs: See :class:`StagedBackbone`.

    Raises:
        UserError: If the depth is not 6n + 4.
    """

    def __init__(
        self,
        depth: int,
        widen_factor: int = 1,
        dropout: float = 0.0,
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise UserError(
                f'CIFARWideResNet: depth={depth} is not 6n + 4; '
                'use 10, 16, 22, 28, 34, 40, ...'
            )
        stages, width = [], 16
        for i, stride in enumerate((1, 2, 2)):
            out, blocks = 16 * widen_factor * 2**i, []
            for j in range((depth - 4) // 6):
                blocks.append(
                    PreActivationBlock(
                        width, out, 1 if j else stride, dropout, norm_cfg
                    )
                )
                width = out
            stages.append(nn.Sequential(*blocks))
        stages[-1].extend([norm(norm_cfg, width), nn.ReLU(inplace=True)])
        super().__init__(conv(3, 16, 3), stages, **kwargs)
