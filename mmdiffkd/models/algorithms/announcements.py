# Copyright (c) mmdiffkd contributors.
"""What a distillation says of itself, whichever script runs it."""

import logging
import re

from mmengine.logging import MessageHub, print_log
from torch import nn

HOOKS = dict(
    SanityHook='the checks and the report of the first iteration',
    FiniteLossHook='batch and images of a loss that is not finite',
    StudentCheckpointHook='the plain student beside each checkpoint',
    RNGStateHook='exact resuming',
    AtomicCheckpointHook='checkpoints that are whole whenever it is killed',
    PreemptionHook='saving at SIGTERM and SIGUSR1',
)
"""What a run lacks without a hook that ``mmdiffkd train`` adds."""

LAYERWISE = re.compile(
    r"(?<!student_)constructor='([\w.]*(?:Layer|LearningRate)Decay\w*)'"
)
"""An optimizer's constructor that tells layers by the names of parameters."""


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


def announce_absent_parts(present: set[str]) -> None:
    """Log what a run does not do that one of ``mmdiffkd train`` does.

    Args:
        present (set[str]): Names of the hooks that look after the model.
    """
    lines = []
    absent = {k: v for k, v in HOOKS.items() if k not in present}
    if absent:
        lines.append(
            'this run is without '
            + '; '.join(f'{hook} ({what})' for hook, what in absent.items())
            + '. `mmdiffkd train` and mmdiffkd.prepare add them; elsewhere, '
            'list them in custom_hooks, see docs/en/reliability.md'
        )
    # MMEngine keeps the text of the run's config there.
    text = MessageHub.get_current_instance().get_info('cfg')
    layerwise = LAYERWISE.search(str(text))
    if layerwise:
        lines.append(
            f'optim_wrapper.constructor {layerwise[1]} does not recognise the '
            'layers of the student behind `architecture.`: all get one '
            'learning rate. `mmdiffkd train` and mmdiffkd.prepare show it the '
            "student alone; elsewhere, set it to 'mmdiffkd."
            "StudentOptimWrapperConstructor', and paramwise_cfg."
            f'student_constructor to {layerwise[1]!r}'
        )
    for line in lines:
        print_log(line, 'current', logging.WARNING)


def announce_shared_input() -> None:
    """Warn of a teacher whose config says nothing of its input."""
    print_log(
        'the config of the teacher has no data_preprocessor: it '
        "gets the student's input as it is",
        'current',
        logging.WARNING,
    )
