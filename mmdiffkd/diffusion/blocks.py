# Copyright (c) mmdiffkd contributors.
"""Convolution and norm blocks that the diffusion modules are made of."""

from typing import Any

import torch.nn.functional as F
from mmengine.model.utils import _BatchNormXd
from torch import Tensor, nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils.kinds import check_kinds

from .pointwise import PointwiseConv2d


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that also works on a single value per channel.

    One vector, or one 1x1 map, has no variance, and PyTorch refuses it in
    training. Such a batch is normalised with the running statistics, without
    updating them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (N, C, H, W); the shape is kept."""
        if (
            self.training
            and self.track_running_stats
            and x.numel() == x.shape[1]
        ):
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                False,
                0.0,
                self.eps,
            )
        return super().forward(x)


class RevertedSyncBatchNorm(BatchNorm2d):
    """What synchronised batch norms are in a run of one process.

    MMEngine puts in their place, whatever their class, a batch norm of its
    own that refuses a single value. See :func:`adopt_batch_norms`.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any shape, as MMEngine's does."""


class GroupNorm(nn.GroupNorm):
    """Group norm that leaves something of vectors.

    One channel of a vector, or of a 1x1 map, normalised by itself is a
    constant. Where groups are single channels, such maps are normalised in
    the groups that :func:`default_groups` gives.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (N, C, H, W); the shape is kept."""
        groups = self.num_groups
        if x.shape[1] * x.shape[2] * x.shape[3] == groups:
            groups = default_groups(groups)
        return F.group_norm(x, groups, self.weight, self.bias, self.eps)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm that says what it cannot do."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (N, C, H, W); the shape is kept.

        Raises:
            ValueError: If there is one position, of which it would make a
                constant.
        """
        own = self.training or not self.track_running_stats
        if own and x.shape[2:] == (1, 1):
            raise ValueError(
                "norm_cfg type 'IN' normalises each channel of a map by "
                f'itself, and of the shape {tuple(x.shape)}, a vector or a '
                "map of one position, nothing would be left; choose 'BN' or "
                "'GN'"
            )
        return super().forward(x)


Config = dict[str, Any]
"""Config of a part: its ``type`` and arguments."""

NORMS: dict[str, type[nn.Module]] = dict(
    BN=BatchNorm2d,
    BN2d=BatchNorm2d,
    SyncBN=nn.SyncBatchNorm,
    IN=InstanceNorm2d,
    GN=GroupNorm,
)
"""Norms by their names in OpenMMLab's configs."""

BATCH_NORM = dict(type='BN')
"""The default norm of all parts, as in the paper's code; read alone."""


def build_norm(
    norm_cfg: Config, channels: int, affine: bool = True
) -> nn.Module:
    """Build a norm layer.

    Args:
        norm_cfg (dict): ``dict(type=...)`` with ``'BN'`` (as in the paper's
            code), ``'SyncBN'``, ``'GN'`` or ``'IN'``, and the layer's own
            arguments. ``num_groups`` of GN, default 32, or less so that a
            group has 8 channels, is lowered to the largest divisor of
            ``channels``. IN takes no vectors, nor maps of one position; a
            GN of one channel a group normalises those in the default groups.
        channels (int): Channels C of the normalised map.
        affine (bool): Whether it learns a factor and a shift per channel.
            Defaults to True.

    Returns:
        nn.Module: A layer on (N, C, H, W).

    Raises:
        ValueError: If the type is none of these, an argument is unknown, or
            there are no groups.
    """
    cfg = dict(norm_cfg)
    if not affine:
        cfg['affine'] = False
    kind = cfg.pop('type')
    cfg.pop('requires_grad', None)  # OpenMMLab habit; the norms are trained
    if kind not in NORMS:
        raise ValueError(
            f"norm_cfg type '{kind}' is unknown; choose 'BN', "
            "'SyncBN', 'GN' or 'IN'"
        )
    if kind == 'IN':
        cfg = {'affine': True, **cfg}
    check_kinds('norm_cfg', NORMS[kind], cfg)
    sizes: tuple[int, ...] = (channels,)
    if kind == 'GN':
        groups = cfg.pop('num_groups', default_groups(channels))
        if not isinstance(groups, int) or groups < 1:
            raise ValueError(
                'norm_cfg num_groups must be a positive integer, '
                f'got {groups!r}'
            )
        sizes = (_largest_divisor(channels, groups), channels)
    try:
        return NORMS[kind](*sizes, **cfg)
    except TypeError as error:  # an argument that PyTorch's layer lacks
        raise ValueError(f'norm_cfg {norm_cfg}: {error}') from error


def default_groups(channels: int) -> int:
    """How many groups GN has where nothing else is said: 32, or fewer."""
    # One or two numbers normalised together, those of a vector, say nothing.
    return _largest_divisor(channels, min(32, max(channels // 8, 1)))


def _largest_divisor(number: int, limit: int) -> int:
    divisor = min(limit, number)
    while number % divisor:
        divisor -= 1
    return divisor


def adopt_batch_norms(module: nn.Module) -> None:
    """Let what MMEngine has made of SyncBN do what this package's BN does.

    A runner of one process replaces them once the model is built. Weights
    and statistics stay the same tensors.

    Args:
        module (nn.Module): Changed in place.
    """
    for layer in module.modules():
        if type(layer) is _BatchNormXd:
            layer.__class__ = RevertedSyncBatchNorm


def norms_of(module: nn.Module) -> str:
    """The kinds of norm in a module, whose weights look alike.

    Synchronised batch norms count as batch norms: the same once trained.
    """
    kinds = set()
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            kinds.add('BN')
        elif isinstance(layer, nn.GroupNorm):
            kinds.add(f'GN, {layer.num_groups} groups')
        elif isinstance(layer, nn.modules.instancenorm._InstanceNorm):
            kinds.add('IN')
    return ' and '.join(sorted(kinds)) or 'none'


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    norm_cfg: Config | None,
    relu: bool = False,
) -> list[nn.Module]:
    """Layers conv (with bias), norm unless ``norm_cfg`` is None, ReLU."""
    layers: list[nn.Module] = [
        PointwiseConv2d(in_channels, out_channels)
        if kernel_size == 1
        else nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2
        )
    ]
    if norm_cfg is not None:
        layers.append(build_norm(norm_cfg, out_channels))
    if relu:
        # In-place is safe: the norm before it saves its input, not its output.
        layers.append(nn.ReLU(inplace=norm_cfg is not None))
    return layers


class Bottleneck(nn.Module):
    """Residual 1x1, 3x3, 1x1 convolutions without a final ReLU.

    Args:
        channels (int): Channels C in and out.
        reduction (int): The inner width is ``channels // reduction``, at
            least 1.
        norm_cfg (dict): See :func:`build_norm`.
    """

    def __init__(
        self, channels: int, reduction: int, norm_cfg: Config
    ) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.layers = nn.Sequential(
            *conv_norm(channels, inner, 1, norm_cfg, relu=True),
            *conv_norm(inner, inner, 3, norm_cfg, relu=True),
            *conv_norm(inner, channels, 1, norm_cfg),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        residual: Tensor = self.layers(x)
        return x + residual


def build(
    cfg: Config | nn.Module | None, default_type: str, **kwargs: Any
) -> Any:
    """Build a replaceable part of the diffusion core.

    Args:
        cfg (dict | nn.Module | None): Its config, where ``type`` may name
            any registered class; a built module is taken as it is.
        default_type (str): Class name when ``cfg`` names none.
        **kwargs: Arguments that ``cfg`` may override.

    Returns:
        nn.Module: The part; Any, since a class of one's own may have more
        than a module has.

    Raises:
        ValueError: If an argument is of a wrong kind.
    """
    if isinstance(cfg, nn.Module):
        return cfg
    kind = (cfg or {}).get('type', default_type)
    part = MODELS.get(kind) if isinstance(kind, str) else kind
    if isinstance(part, type):
        check_kinds(part.__name__, part, dict(cfg or {}))
    # The scope is stated because MMEngine would search the task library's.
    return MODELS.build(
        {'_scope_': 'mmdiffkd', 'type': default_type, **kwargs, **(cfg or {})}
    )
