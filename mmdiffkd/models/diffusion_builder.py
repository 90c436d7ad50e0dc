# Copyright (c) mmdiffkd contributors.
"""Build the diffusion core from a user's config."""
from inspect import signature
from typing import Any

from mmdiffkd.diffusion import FeatureDiffusion
from mmdiffkd.utils import UserError, closest


def build_diffusion(owner: str, student_channels: int, teacher_channels: int,
                    **options: Any) -> FeatureDiffusion:
    """Build a :class:`FeatureDiffusion` for a component of MMRazor.

    Args:
        owner (str): Class in the config, for the message.
        student_channels (int): Channels of the student feature.
        teacher_channels (int): Channels of the teacher feature.
        **options: Its further arguments.

    Returns:
        FeatureDiffusion: The module.

    Raises:
        UserError: If an option is unknown or impossible.
    """
    known = signature(FeatureDiffusion).parameters
    for option in options:
        if option not in known:
            raise UserError(f"{owner} does not take '{option}'"
                            f'{closest(option, known)}')
    try:
        return FeatureDiffusion(student_channels, teacher_channels, **options)
    except ValueError as error:
        raise UserError(f'{owner}: {error}') from error
