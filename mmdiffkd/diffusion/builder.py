# Copyright (c) mmdiffkd contributors.
"""Build the diffusion core from a user's config."""

from collections.abc import Mapping
from typing import Any

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.blame import blame
from mmdiffkd.utils.kinds import arguments_of, check_kinds

from .feature_diffusion import FeatureDiffusion
from .feature_pair import FeaturePair
from .teacher_diffusion import TeacherDiffusion


def build_diffusion(
    owner: str,
    student_channels: int,
    teacher_channels: int,
    core: str | type = FeatureDiffusion,
    **options: Any,
) -> FeaturePair:
    """Build the diffusion core for a component of MMRazor.

    Args:
        owner (str): Class in the config, for the message.
        student_channels (int): Channels of the student feature.
        teacher_channels (int): Channels of the teacher feature.
        core (type | str): Its class, or the registered name of it. Defaults
            to :class:`FeatureDiffusion`.
        **options: Its further arguments.

    Returns:
        FeaturePair: The module.

    Raises:
        UserError: If an option is unknown or impossible.
    """
    if not isinstance(core, type):
        name, core = core, MODELS.get(core) if isinstance(core, str) else None
        if not (isinstance(core, type) and issubclass(core, TeacherDiffusion)):
            raise UserError(
                f'{owner}.core must name a registered subclass of '
                f'mmdiffkd.diffusion.TeacherDiffusion, got '
                f'{name!r}'
            )
    known = arguments_of(core)
    for option in options:
        if option not in known:
            raise UserError(
                f"{owner} does not take '{option}'"
                f'{closest(option, known)} (an entry that takes '
                "the place of another class's of a _base_ needs "
                '_delete_=True)'
            )
    check_kinds(
        owner,
        core,
        dict(
            options,
            student_channels=student_channels,
            teacher_channels=teacher_channels,
        ),
    )
    for option, value in options.items():
        if not isinstance(value, Mapping):
            continue
        # The core knows a default type for each of its own parts.
        kind = value.get('type', '' if option == 'norm_cfg' else 'default')
        if not isinstance(kind, (str, type)) or not kind:
            raise UserError(f'{owner}.{option} needs a type, got {value!r}')
    with blame(owner):
        built: FeaturePair = core(
            student_channels, teacher_channels, **options
        )
    return built
