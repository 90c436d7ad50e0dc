# Copyright (c) mmdiffkd contributors.
"""Build the two models of a pair, and look at their features."""

import copy
import sys
from typing import Any, NamedTuple

from torch import nn

from mmdiffkd.models.algorithms.own_defaults import own_defaults
from mmdiffkd.models.algorithms.teacher_builder import (
    build_stock,
    named_checkpoint,
)
from mmdiffkd.models.widths.layout import Layout, layout_of
from mmdiffkd.models.widths.probe import Probe, Shape
from mmdiffkd.models.widths.records import probe_pair
from mmdiffkd.utils import UserError, isolated_rng
from mmdiffkd.utils.blame import LIBRARIES, frames_of, module_of
from mmdiffkd.utils.configs.weights import without_weights
from mmdiffkd.utils.explain.place import quote

from .checkpoints import zoo_checkpoint
from .named import Named

TASKS = dict(
    BaseDetector='detection',
    BaseSegmentor='segmentation',
    ImageClassifier='classification',
)
"""Tasks by the class that models of a library inherit from."""


class Model(NamedTuple):
    """One of the two models.

    Attributes:
        named (Named): Its config.
        net (nn.Module): Built, with random weights.
        seen (Probe): What a dummy image left in its modules.
        task (str): ``'detection'``, ``'segmentation'``, ``'classification'``,
            or the name of another base class.
        checkpoint (str, optional): That its zoo, or its config, names.
    """

    named: Named
    net: nn.Module
    seen: Probe
    task: str
    checkpoint: str | None

    @property
    def millions(self) -> float:
        """Parameters, in millions."""
        return sum(p.numel() for p in self.net.parameters()) / 1e6

    def layouts(self, source: str) -> list[Layout | None]:
        """Layouts of what a module gives, each element or call."""
        calls = self.seen.outputs.get(source) or []
        items = calls[0] if calls and isinstance(calls[0], list) else calls
        return [
            layout_of(item, self.seen.size)
            if isinstance(item, Shape)
            else None
            for item in items
        ]

    def called(self, inside: str = '') -> list[str]:
        """Modules in the order in which their first calls end."""
        return [
            name
            for name in self.seen.outputs
            if (name and (name == inside or name.startswith(f'{inside}.')))
            or not inside
        ]


def build_pair(student: Named, teacher: Named) -> tuple[Model, Model]:
    """Build both models, without weights, and run a dummy image through them.

    Args:
        student (Named): Its config.
        teacher (Named): Likewise.

    Returns:
        tuple[Model, Model]: Student and teacher.

    Raises:
        UserError: If a library cannot build or run its model, or the tasks
            differ.
    """
    built = []
    with isolated_rng():
        for named in (student, teacher):
            built.append(_build(named))
    tasks = [task_of(net) for net, _ in built]
    if tasks[0] != tasks[1]:
        raise UserError(
            f'the tasks differ: the student {type(built[0][0]).__name__} is '
            f'for {tasks[0]}, the teacher {type(built[1][0]).__name__} for '
            f'{tasks[1]}; name a teacher of the same task'
        )
    probes = probe_pair(built[0][0], built[1][0])
    models = []
    for named, (net, weights), seen, task in zip(
        (student, teacher), built, probes, tasks
    ):
        if not seen.outputs:
            raise UserError(
                f'{named.side} {named.reference}: its forward pass on a dummy '
                f'image calls no module: {seen.error}'
            )
        weights = zoo_checkpoint(named.path) or weights
        models.append(Model(named, net, seen, task, weights))
    return models[0], models[1]


def task_of(net: nn.Module) -> str:
    """The task of a model, by the class of its library that it inherits."""
    kinds = [kind.__name__ for kind in type(net).__mro__]
    for kind in kinds:
        if kind in TASKS:
            return TASKS[kind]
    bases = [k for k in kinds if k.startswith('Base') and k != 'BaseModel']
    return next((k for k in bases if k != 'BaseModule'), kinds[0])


def _build(named: Named) -> tuple[nn.Module, str | None]:
    try:
        config = copy.deepcopy(named.config)
        # Some fetch a teacher of their own as they are built.
        config.model = without_weights(config.model)
        net = own_defaults(build_stock(config))
    except UserError:
        raise
    except Exception as error:
        if _of_users(error):
            raise
        raise UserError(
            f'{named.side} {named.reference}: {named.library} itself cannot '
            f'build this model: {quote(error, frames_of(error))}'
        ) from error
    net.train()  # some freeze their stages only now, and return nothing
    return net, named_checkpoint(named.config.model)


def _of_users(error: Exception) -> bool:
    """Whether it arose in code that is neither installed nor ours."""
    last: Any = frames_of(error)[-1]
    library = module_of(last).split('.')[0]
    return (
        library not in LIBRARIES | {'mmdiffkd'}
        and 'site-packages' not in last.f_code.co_filename
        and library not in sys.stdlib_module_names
    )
