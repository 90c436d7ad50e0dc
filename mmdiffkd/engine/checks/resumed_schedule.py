# Copyright (c) mmdiffkd contributors.
"""Tell which numbers of a config's schedule are not read on resuming.

MMEngine goes on with the schedules of the checkpoint, whatever the config
says by then.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import Runner

MOVING = ('last_step', '_global_step', '_last_value', 'verbose')
"""What differs between the start of a schedule and its middle."""
PLAIN = (bool, int, float, str, list, tuple, Counter, type(None))


def tell_schedule(runner: Runner, checkpoint: Mapping) -> None:
    """Warn of numbers that are others in the checkpoint than in the config.

    Args:
        runner (Runner): That resumes, its schedules built.
        checkpoint (Mapping): Its content.
    """
    saved, built = checkpoint.get('param_schedulers'), runner.param_schedulers
    if not isinstance(saved, list) or not isinstance(built, list):
        return  # none, or one for each of several optimizers
    changed = [
        f'{type(scheduler).__name__}.{key} is {_shown(state[key], own[key])}'
        for state, scheduler in zip(saved, built)
        for own in [scheduler.state_dict()]
        for key in own
        if key in state
        and key not in MOVING
        and isinstance(own[key], PLAIN)
        and isinstance(state[key], PLAIN)
        and own[key] != state[key]
    ]
    if len(saved) != len(built):
        changed.append(f'there are {len(saved)} schedules, not {len(built)}')
    if changed:
        print_log(
            f'resuming goes on with the schedule of {runner._load_from}, not '
            f'with that of the config: {"; ".join(changed)}. To train with '
            'the config, start from the weights by load_from',
            'current',
            logging.WARNING,
        )


def _shown(theirs: Any, ours: Any) -> str:
    """The first value that differs, of groups of parameters that have many."""
    both = (theirs, ours)
    if all(isinstance(value, Counter) for value in both):
        theirs, ours = (sorted(value.elements()) for value in both)
    elif all(isinstance(value, (list, tuple)) for value in both):
        pairs = zip(theirs, ours)
        theirs, ours = next((p for p in pairs if p[0] != p[1]), both)
    return f'{theirs!r}, not {ours!r}'
