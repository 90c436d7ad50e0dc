# Copyright (c) mmdiffkd contributors.
"""Read checkpoints of MMRazor and of the plain student as our own."""

from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from mmdiffkd.utils import UserError


def to_own_keys(
    state_dict: dict[str, Any], prefix: str, student: dict[str, Tensor]
) -> None:
    """Drop ``teacher.*`` and put ``architecture.`` before plain keys.

    Args:
        state_dict (dict): Of a checkpoint; it is changed.
        prefix (str): Of the algorithm's keys.
        student (dict): The state dict of the student.

    Raises:
        UserError: If nothing in it fits the student.
    """
    for key in list(state_dict):
        if key.startswith(f'{prefix}teacher.'):
            state_dict.pop(key)
    own = f'{prefix}architecture.'
    if not any(key.startswith(own) for key in state_dict):
        plain = [k for k in state_dict if k[len(prefix) :] in student]
        if plain:
            print_log(
                f'loading a plain student checkpoint: {len(plain)} of '
                f'{len(student)} weights of the student are in it',
                'current',
            )
        for key in list(state_dict):
            if key.startswith(prefix) and (
                not key.startswith(f'{prefix}distiller.')
            ):
                state_dict[own + key[len(prefix) :]] = state_dict.pop(key)
    if student and not any(own + key in state_dict for key in student):
        examples = list(state_dict)[:3]
        raise UserError(
            f'the checkpoint fits no weight of the student: it has '
            f'{len(state_dict)} keys such as {examples}, the student such as '
            f'{list(student)[:3]}; check load_from'
        )
