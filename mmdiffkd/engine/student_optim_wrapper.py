# Copyright (c) mmdiffkd contributors.
"""Layer-wise learning rates for the student of a distillation."""

import re
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_CONSTRUCTORS,
)

from mmdiffkd.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmdiffkd.utils.distillation import is_distillation, unwrap
from mmdiffkd.utils.errors import UserError

NAME = 'StudentOptimWrapperConstructor'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor:
    """Show the student alone to a constructor that goes by names.

    Those with layer-wise decay, such as MMDetection's
    ``LearningRateDecayOptimizerConstructor``, tell a layer by the name of its
    parameters. Behind ``architecture.`` they recognise none of them, and give
    all of them the rate of the last layer.

    The distiller gets the optimizer's own learning rate and weight decay,
    times ``lr_mult`` and ``decay_mult`` of the custom key ``distiller`` if
    there is one.

    Args:
        optim_wrapper_cfg (dict): Settings of the optimizer and its wrapper,
            as any constructor of MMEngine is given them.
        paramwise_cfg (dict): That of the student's constructor, whose type it
            names under the key ``student_constructor``.

    Raises:
        UserError: If the key is missing.
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        self.optim_wrapper_cfg = optim_wrapper_cfg
        self.paramwise_cfg = dict(paramwise_cfg or {})
        self.student_constructor = self.paramwise_cfg.pop(
            'student_constructor', None
        )
        if self.student_constructor is None:
            raise UserError(
                f'{NAME}: optim_wrapper.paramwise_cfg.student_constructor is '
                'missing; name the constructor for the student'
            )

    def __call__(self, model: Any) -> OptimWrapper:
        """Build the optimizer of a distillation.

        Args:
            model (Any): The algorithm, a module with ``architecture`` and
                ``distiller``; a wrapper around it is taken off.

        Returns:
            OptimWrapper: With the student's groups first.
        """
        model = unwrap(model)
        wrapper = MMENGINE_CONSTRUCTORS.build(
            dict(
                type=self.student_constructor,
                optim_wrapper_cfg=self.optim_wrapper_cfg,
                paramwise_cfg=self.paramwise_cfg,
            )
        )(model.architecture)
        parameters = {
            f'distiller.{name}': p
            for name, p in model.distiller.named_parameters()
            if p.requires_grad
        }
        if parameters:
            keys = (self.paramwise_cfg.get('custom_keys') or {}).get(
                'distiller', {}
            )
            optimizer = wrapper.optimizer
            group = dict(
                params=list(parameters.values()),
                lr=optimizer.defaults['lr'] * keys.get('lr_mult', 1.0),
                weight_decay=optimizer.defaults.get('weight_decay', 0.0)
                * keys.get('decay_mult', 1.0),
            )
            # PyTorch wants all groups with names, or none.
            if 'param_names' in optimizer.param_groups[0]:
                group['param_names'] = list(parameters)
            optimizer.add_param_group(group)
        return wrapper


def show_student_to_constructor(cfg: Config) -> str | None:
    """Put the above around a constructor with layer-wise decay.

    Args:
        cfg (Config): Config of a training, changed in place.

    Returns:
        str | None: What was done, for the log.
    """
    model = cfg.get('model') or ConfigDict()
    optim = cfg.get('optim_wrapper') or ConfigDict()
    constructor = optim.get('constructor')
    if (
        not is_distillation(cfg)
        or model.get('teacher_trainable')
        or not re.search('(Layer|LearningRate)Decay', str(constructor))
    ):
        return None
    optim.constructor = f'mmdiffkd.{NAME}'
    optim.paramwise_cfg = dict(
        optim.get('paramwise_cfg') or {}, student_constructor=constructor
    )
    return f'{constructor} is shown the student alone, as in stock training'
