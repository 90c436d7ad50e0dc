# Copyright (c) mmdiffkd contributors.
"""Models of the libraries' own configs."""

from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope


def stock(name, **changes):
    """A model of a library's config, small and without weights."""
    cfg = get_config(name)
    model = cfg.model
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    for key, value in changes.items():
        cfg.merge_from_dict({f'model.{key.replace("__", ".")}': value})
    model.pop('pretrained', None)
    model.backbone.pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(model)
