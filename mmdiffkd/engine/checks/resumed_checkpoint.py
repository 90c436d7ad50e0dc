# Copyright (c) mmdiffkd contributors.
"""Does a checkpoint belong to the run that loads it?

MMEngine loads whatever fits and warns of the rest.
"""

from collections.abc import Mapping
from typing import Any

from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from mmdiffkd.utils.distillation import unwrap
from mmdiffkd.utils.errors import UserError

from .resumed_schedule import tell_schedule

# Settings of a group of parameters that tell kinds of optimizers apart.
TELLING = ('alpha', 'betas', 'etas', 'momentum')


def check_belonging(runner: Runner, checkpoint: Any) -> None:
    """Check a checkpoint before a runner takes its weights.

    Args:
        runner (Runner): To start from it, or to resume it.
        checkpoint (dict): Its content.

    Raises:
        UserError: If nothing of it fits the model, or, on resuming, not all
            of the model is in it, or no state of the optimizer or of the
            learning rate where iterations are left to train.
    """
    sharded = 'FullySharded' in type(runner.model).__name__
    if sharded or not isinstance(runner._train_loop, BaseLoop):
        return  # nobody has all weights, or nothing is trained
    path = runner._load_from
    state = checkpoint
    if isinstance(checkpoint, Mapping):
        state = checkpoint.get('state_dict', checkpoint)
    if (
        runner._resume
        and isinstance(checkpoint, Mapping)
        and ('message_hub' not in checkpoint)
    ):
        raise UserError(
            f"{path!r} is not a training checkpoint: it has no 'message_hub'. "
            'To start from its weights, set load_from instead of resuming'
        )
    if not isinstance(state, Mapping) or not any(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise UserError(f'{path!r} is not a checkpoint: it holds no weights')
    model = unwrap(runner.model)
    own = model.state_dict()
    found = {
        str(key)[7 if str(key).startswith('module.') else 0 :]: value
        for key, value in state.items()
    }
    wrong = [
        key
        for key, value in own.items()
        if getattr(found.get(key), 'shape', None) != value.shape
        and not key.endswith('num_batches_tracked')
    ]
    if runner._resume:
        _check_resumed(runner, checkpoint, own, wrong)
        _check_optimizer(runner, checkpoint)
        tell_schedule(runner, checkpoint)
    elif len(wrong) == len(
        [k for k in own if not k.endswith('num_batches_tracked')]
    ) and not hasattr(model, 'distillation_stopped'):
        # A distillation understands more, and says so itself.
        raise UserError(
            f'the checkpoint {path!r} fits no weight of the model: it has '
            f'names such as {list(found)[:3]}, the model such as '
            f'{list(own)[:3]}; check load_from'
        )


def _check_resumed(
    runner: Runner, checkpoint: Mapping, own: Mapping, wrong: list[str]
) -> None:
    path = runner._load_from
    if wrong:
        raise UserError(
            f'{path!r} cannot be resumed with this config: {len(wrong)} of '
            f'the {len(own)} weights of the model are not in it, or have '
            f'another shape, such as {wrong[0]!r}. To start from its weights, '
            'set load_from instead of resuming'
        )
    done = (checkpoint.get('meta') or {}).get('iter', 0)
    parts = {'optimizer': 'the optimizer'}
    if runner.param_schedulers:
        parts['param_schedulers'] = 'the schedule'
    absent = [part for key, part in parts.items() if key not in checkpoint]
    if absent and done < runner.max_iters:
        raise UserError(
            f'{path!r} cannot be resumed: it holds no state of '
            f'{" and of ".join(absent)}, so that the learning rate would '
            'begin anew in the middle of the training. best_*.pth never hold '
            'it, nor do others with default_hooks.checkpoint.save_optimizer='
            'False. To start from its weights, set load_from instead of '
            'resuming'
        )


def _check_optimizer(runner: Runner, checkpoint: Mapping) -> None:
    """PyTorch takes the state of an optimizer of another kind."""
    saved = checkpoint.get('optimizer')
    groups = getattr(
        getattr(runner.optim_wrapper, 'optimizer', None), 'param_groups', None
    )
    if (
        not groups
        or not isinstance(saved, Mapping)
        or not saved.get('param_groups')
    ):
        return
    kinds = [
        {name for name in TELLING if name in group}
        for group in (saved['param_groups'][0], groups[0])
    ]
    if kinds[0] != kinds[1]:
        kind = type(runner.optim_wrapper.optimizer).__name__
        raise UserError(
            f'{runner._load_from!r} was written with another optimizer than '
            f'the {kind} of this config (it has {sorted(kinds[0])}, not '
            f'{sorted(kinds[1])}). To start from its weights, set load_from '
            'instead of resuming'
        )
