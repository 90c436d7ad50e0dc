# Copyright (c) mmdiffkd contributors.
"""Check the data of any training, distilled or not."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdiffkd.registry import HOOKS
from mmdiffkd.utils.distillation import unwrap

from ..checks.annotations import check_built_data
from .sanity_hook import SanityHook


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Tell, before the first iteration, data that does not fit the model.

    ``mmdiffkd.prepare`` gives it to every run. A :class:`SanityHook` does the
    same and more, and is left to do it.
    """

    def before_train(self, runner: Runner) -> None:
        """Check the sets, which are built by now.

        Raises:
            UserError: If a set has more classes than the model, or lacks
                annotations that its pipeline or the model needs.
        """
        if any(isinstance(hook, SanityHook) for hook in runner.hooks):
            return
        model = unwrap(runner.model)
        student = getattr(model, 'architecture', model)
        for line in check_built_data(runner, student):
            runner.logger.warning(line)
