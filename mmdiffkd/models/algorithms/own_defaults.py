# Copyright (c) mmdiffkd contributors.
"""Two models in one process must not share what a constructor changes."""

import copy
import inspect
from typing import TypeVar

from torch import nn

Model = TypeVar('Model', bound=nn.Module)


def own_defaults(model: Model) -> Model:
    """Give a model copies of its constructors' default arguments.

    MMPretrain's HiViT keeps the list that is its default for
    ``out_indices``, and writes its own depth into it: the next HiViT that is
    built, a teacher of another depth, would change this one.

    Args:
        model (nn.Module): Just built; changed in place.

    Returns:
        nn.Module: The same.
    """
    for module in model.modules():
        shared = {
            id(default)
            for cls in type(module).__mro__
            if '__init__' in vars(cls) and cls is not object
            for default in _defaults(cls)
            if isinstance(default, (list, dict, set))
        }
        for name, value in vars(module).items():
            if id(value) in shared:
                setattr(module, name, copy.copy(value))
    return model


def _defaults(cls: type) -> list:
    try:
        parameters = inspect.signature(vars(cls)['__init__']).parameters
    except (TypeError, ValueError):  # written in C
        return []
    return [one.default for one in parameters.values()]
