# Copyright (c) mmdiffkd contributors.
"""What the backbones of this package have in common: a stem and stages."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdiffkd.utils import UserError

BATCH_NORM = dict(type='BN')  # the default norm; read alone
INIT_CFG = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]


class StagedBackbone(BaseModule):
    """Run a stem, then stages, and return the outputs of some stages.

    Args:
        stem (nn.Module): First layers.
        stages (Sequence[nn.Module]): Stages, in their order.
        out_indices (Sequence[int]): Stages to return, counted from 0;
            negative numbers count from the end. Defaults to ``(-1, )``, the
            map before pooling.
        frozen_stages (int): -1 trains all, 0 freezes the stem, k the stem
            and the first k stages: no gradient, and norms in eval mode.
            Defaults to -1.
        norm_eval (bool): Whether norms keep their running statistics in
            training. Defaults to False.
        init_cfg (dict | list, optional): Initialisation config of MMEngine.
            Defaults to None: Kaiming for convolutions, ones for norms.

    Raises:
        UserError: If ``out_indices`` or ``frozen_stages`` name no stage.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        out_indices: Sequence[int] = (-1,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(INIT_CFG if init_cfg is None else init_cfg)
        count, name = len(stages), type(self).__name__
        if not out_indices or any(
            not -count <= index < count for index in out_indices
        ):
            raise UserError(
                f'{name}: out_indices={tuple(out_indices)} must '
                f'name some of its {count} stages, 0 to '
                f'{count - 1}'
            )
        if not -1 <= frozen_stages <= count:
            raise UserError(
                f'{name}: frozen_stages={frozen_stages} must be '
                f'-1 (none) to {count} (all)'
            )
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.out_indices = tuple(sorted(i % count for i in out_indices))
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x (Tensor): Images, shape (N, 3, H, W).

        Returns:
            tuple[Tensor]: A map for each of ``out_indices``.
        """
        x = self.stem(x)
        outputs: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def train(self, mode: bool = True) -> 'StagedBackbone':
        """Set the mode; frozen stages, and norms if asked, stay in eval."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (self.stem, *self.stages[: self.frozen_stages]):
            module.eval()
            module.requires_grad_(False)


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution in front of a norm: padded to keep the size, no bias."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
    )


def norm(norm_cfg: dict, channels: int) -> nn.Module:
    """A norm layer of MMCV's, such as ``dict(type='BN')``."""
    return build_norm_layer(norm_cfg, channels)[1]


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    norm_cfg: dict,
    stride: int = 1,
    groups: int = 1,
) -> list[nn.Module]:
    """The three layers that most stems and stages are made of."""
    return [
        conv(in_channels, out_channels, kernel_size, stride, groups),
        norm(norm_cfg, out_channels),
        nn.ReLU(inplace=True),
    ]
