# Copyright (c) mmdiffkd contributors.
"""Modules on a device that is not there."""

import torch
from torch import nn


def move(module, mode, device):
    """Put fakes on a device in the place of all weights of a module.

    Args:
        module (nn.Module): Built; changed in place.
        mode (FakeTensorMode): Of the fakes.
        device (str): Such as ``'cuda'``, which needs no GPU.
    """
    for part in module.modules():
        for place in (part._parameters, part._buffers):
            for name, tensor in place.items():
                if tensor is not None:
                    place[name] = _fake(tensor, mode, device)


def _fake(tensor, mode, device):
    with mode:
        fake = torch.empty_like(mode.from_tensor(tensor), device=device)
    if not isinstance(tensor, nn.Parameter):
        return fake
    return nn.Parameter(fake.detach(), tensor.requires_grad)
