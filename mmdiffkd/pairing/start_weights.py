# Copyright (c) mmdiffkd contributors.
"""See whether the checkpoint of a student fits it."""

from collections.abc import Mapping

from torch import nn

from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.files import read_checkpoint
from mmdiffkd.utils.checkpoints.student import PREFIX, key_prefixes
from mmdiffkd.utils.checkpoints.weights import load_fitting


def check_start(net: nn.Module, file: str) -> str:
    """Try what MMEngine does with ``init_cfg`` of type ``Pretrained``.

    It passes over all that does not fit, without an error. That may be wanted
    of a head for other classes. A backbone of another shape is a mistake.

    Args:
        net (nn.Module): The student; its weights are changed.
        file (str): The checkpoint.

    Returns:
        str: What does not fit, in one line, or ``''``.

    Raises:
        UserError: If it cannot be read, is of a distillation, or does not fit
            the backbone.
    """
    content = read_checkpoint(file)
    given = content.get('state_dict', content)
    if not isinstance(given, Mapping):
        raise UserError(
            f'--student-ckpt {file} holds no weights: its state_dict is a '
            f'{type(given).__name__}'
        )
    state = {str(k).removeprefix('module.'): v for k, v in given.items()}
    if any(key.startswith(PREFIX) for key in state):
        raise UserError(
            f'--student-ckpt {file} is of a distillation. Take the student '
            f'out of it: mmdiffkd export {file} student.pth'
        )
    own = net.state_dict()
    place = 'backbone.' if hasattr(net, 'backbone') else ''
    fitting = [key for key in own if key.startswith(place) and key in state]
    missing, wrong = load_fitting(net, state)
    bad = [line for line in wrong if line.startswith(place)]
    why = f'it holds {key_prefixes(state)}, and no {place or "weight"}*'
    if bad or not fitting:
        raise UserError(
            f'--student-ckpt {file} does not fit the student '
            f'{type(net).__name__}: {_some(bad) if bad else why}'
        )
    return _remark(file, missing, wrong, [k for k in state if k not in own])


def _remark(
    file: str, missing: list[str], wrong: list[str], rest: list[str]
) -> str:
    parts = {
        'not in it, and start as without it': missing,
        'of another shape, and start as without it': wrong,
        'of it alone, and have no place in the student': rest,
    }
    told = [f'{_some(some)} are {how}' for how, some in parts.items() if some]
    return f'--student-ckpt {file}: {"; ".join(told)}' if told else ''


def _some(names: list[str]) -> str:
    """How many, and the first of them."""
    return f'{len(names)} weights (such as {names[0]})'
