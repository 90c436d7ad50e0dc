# Copyright (c) mmdiffkd contributors.
"""The device that a command is told to run on."""

import torch

from mmdiffkd.utils.errors import UserError


def check_device(name: str) -> torch.device:
    """Check that a device is there.

    Args:
        name (str): Value of ``--device``.

    Returns:
        torch.device: Of CPU or GPU.

    Raises:
        UserError: If this machine has none of that name.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        text = str(error).splitlines()[0]
        raise UserError(
            f'--device {name}: {text}; name another, such as cpu'
        ) from error
    if device.type not in ('cpu', 'cuda'):
        raise UserError(f'--device {name}: use cpu or cuda')
    return device
