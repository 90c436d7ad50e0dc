# Copyright (c) mmdiffkd contributors.
"""A model's config without the weights that building it would fetch."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

WEIGHTS = ('.pth', '.pt', '.bin', '.ckpt', '.safetensors', '.pth.tar')
"""How the name of a file of weights ends."""


def without_weights(part: Any) -> Any:
    """Copy a part of a config, all pretrained weights taken out.

    Args:
        part (Any): Dict, list or value.
    """
    if isinstance(part, Mapping):
        kept = {
            key: without_weights(value)
            for key, value in part.items()
            if not _names_weights(key, value)
        }
        return ConfigDict(kept) if isinstance(part, ConfigDict) else kept
    if isinstance(part, (list, tuple)):
        return type(part)(without_weights(item) for item in part)
    return part


def _names_weights(key: Any, value: Any) -> bool:
    if key == 'init_cfg' and isinstance(value, Mapping):
        return value.get('type') == 'Pretrained' or 'checkpoint' in value
    if key == 'pretrained' and value is not None:
        return not isinstance(value, bool) or value
    return isinstance(value, str) and value.endswith(WEIGHTS)
