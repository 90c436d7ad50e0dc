# Copyright (c) mmdiffkd contributors.
"""Registries of scope ``mmdiffkd``, children of MMEngine's roots.

``locations`` makes MMEngine import the defining modules on first use, so
``type='mmdiffkd.DiffKDConnector'`` works in any config without
``custom_imports``.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='mmdiffkd',
    locations=['mmdiffkd.diffusion', 'mmdiffkd.models'],
)

HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='mmdiffkd',
    locations=['mmdiffkd.engine.hooks'],
)

DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='mmdiffkd',
    locations=['mmdiffkd.datasets'],
)

TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmdiffkd',
    locations=['mmdiffkd.datasets'],
)

DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmdiffkd',
    locations=['mmdiffkd.datasets.seeded_sampler'],
)

OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmdiffkd',
    locations=['mmdiffkd.engine.student_optim_wrapper'],
)
