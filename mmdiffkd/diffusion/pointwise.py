# Copyright (c) mmdiffkd contributors.
"""1x1 convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution that is computed in the fastest way.

    Of vectors, which are maps of one position, it is a matrix product: a
    convolution of them takes twice the time. Names and shapes of
    the weights are those of :class:`torch.nn.Conv2d`.

    Args:
        in_channels (int): Channels C in.
        out_channels (int): Channels C' out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def _conv_forward(
        self, input: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """From (N, C, H, W) to (N, C', H, W)."""
        if input.shape[2:] == (1, 1):
            vectors = F.linear(input.flatten(1), weight.flatten(1), bias)
            return vectors[:, :, None, None]
        # One position has no distance to be dilated: it means nothing, but
        # PyTorch hands what is dilated to oneDNN.
        dilation = 2 if _needs_onednn(input) else 1
        return F.conv2d(input, weight, bias, dilation=dilation)


def _needs_onednn(x: Tensor) -> bool:
    """Whether PyTorch would leave a fast library unused.

    In one thread it computes 1x1 convolutions of fewer than 16 images by MKL,
    which is half as fast on many processors. With two threads it takes oneDNN
    for them; the other conditions here are those it has then.
    """
    if torch.compiler.is_compiling():
        return False  # nor is the code made for one number of images
    return (
        x.device.type == 'cpu'
        and x.dtype == torch.float32
        and len(x) < 16
        and (len(x) > 1 or x.numel() > 20480)
        and torch.get_num_threads() == 1
        and not torch.is_autocast_enabled('cpu')
        and torch.backends.mkldnn.is_available()
        and torch._C._get_mkldnn_enabled()
    )
