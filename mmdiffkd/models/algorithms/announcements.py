# Copyright (c) mmdiffkd contributors.
"""What a distillation says of itself, whichever script runs it."""

import logging
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmdiffkd.utils.distillation import unwrap

HOOKS = dict(
    SanityHook='the checks and the report of the first iteration',
    FiniteLossHook='batch and images of a loss that is not finite',
    StudentCheckpointHook='the plain student beside each checkpoint',
    RNGStateHook='exact resuming',
)
"""What a run lacks without a hook that ``tools/train.py`` adds."""


def announce_teacher(
    teacher: nn.Module, checkpoint: str | None, random: bool
) -> None:
    """Log where the teacher's weights come from.

    Args:
        teacher (nn.Module): The teacher.
        checkpoint (str, optional): File or URL that covers all of them.
        random (bool): Whether they are random, and may be.
    """
    name = type(teacher).__name__
    if checkpoint:
        count = len(teacher.state_dict())
        text = f'the teacher {name} has all of its {count} weights from '
        print_log(text + str(checkpoint), 'current')
    elif random:
        print_log(
            f'the teacher {name} has RANDOM weights, as '
            'allow_random_teacher=True permits',
            'current',
            logging.WARNING,
        )


def announce_absent_hooks(present: set[str]) -> None:
    """Log what a run does not do that one of ``tools/train.py`` does.

    Args:
        present (set[str]): Names of the hooks that look after the model.
    """
    absent = {k: v for k, v in HOOKS.items() if k not in present}
    if absent:
        print_log(
            'this run is without '
            + '; '.join(f'{hook} ({what})' for hook, what in absent.items())
            + '. tools/train.py adds them; elsewhere, list them in '
            'custom_hooks, see docs/en/reliability.md',
            'current',
            logging.WARNING,
        )


def attend(model: Any, hook: object) -> None:
    """Note that a hook looks after a model.

    Args:
        model (nn.Module): What the runner trains, perhaps in a wrapper.
        hook (Hook): The hook.
    """
    model = unwrap(model)
    if hasattr(model, 'attending_hooks'):
        model.attending_hooks.update(
            kind.__name__ for kind in type(hook).__mro__
        )


def announce_shared_input() -> None:
    """Warn of a teacher whose config says nothing of its input."""
    print_log(
        'the config of the teacher has no data_preprocessor: it '
        "gets the student's input as it is",
        'current',
        logging.WARNING,
    )
