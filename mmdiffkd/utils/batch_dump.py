# Copyright (c) mmdiffkd contributors.
"""A batch as tensors and plain values, and back."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

KIND = '__kind__'
LIBRARIES = ('mmdet', 'mmengine', 'mmpretrain', 'mmseg')


def image_paths(batch: Any) -> list[str]:
    """List the image files of a batch.

    Args:
        batch (Any): What a data loader hands to ``train_step``.

    Returns:
        list[str]: Paths; empty where the samples carry none.
    """
    if isinstance(batch, BaseDataElement):
        path = batch.get('img_path')
        return [path] if isinstance(path, str) else []
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        return [path for item in batch for path in image_paths(item)]
    return []


def batch_content(batch: Any) -> Any:
    """Turn a batch into what ``torch.load(weights_only=True)`` reads.

    Args:
        batch (Any): What a data loader hands to ``train_step``.

    Returns:
        Any: Containers, tensors on the CPU and plain values. Polygon masks
        and other objects that no tensor holds become their ``repr``.
    """
    if batch is None or isinstance(batch, (str, bool, int, float)):
        return batch
    if isinstance(batch, Tensor):
        return batch.detach().cpu()
    if isinstance(batch, BaseDataElement):
        return {
            KIND: _name(batch),
            'metainfo': batch_content(batch.metainfo),
            'fields': {k: batch_content(v) for k, v in batch.items()},
        }
    if isinstance(batch, Mapping):
        return {key: batch_content(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        kind = list if isinstance(batch, list) else tuple
        return kind(batch_content(item) for item in batch)
    if isinstance(getattr(batch, 'tensor', None), Tensor):  # boxes
        return {KIND: _name(batch), 'args': [batch.tensor.detach().cpu()]}
    if type(batch).__name__ == 'BitmapMasks':
        return {
            KIND: _name(batch),
            'args': [torch.from_numpy(batch.masks), batch.height, batch.width],
        }
    if hasattr(batch, 'dtype') and hasattr(batch, 'tolist'):  # of NumPy
        return torch.as_tensor(batch) if batch.shape else batch.tolist()
    return repr(batch)


def rebuild_batch(content: Any) -> Any:
    """Undo :func:`batch_content`.

    Args:
        content (Any): Its result.

    Returns:
        Any: The batch.

    Raises:
        ValueError: If it names a class outside of the OpenMMLab libraries.
    """
    if isinstance(content, dict) and KIND in content:
        module, _, name = content[KIND].rpartition('.')
        if module.split('.')[0] not in LIBRARIES:
            raise ValueError(f'a batch does not hold {content[KIND]}')
        kind = getattr(importlib.import_module(module), name)
        if 'args' in content:
            first, *rest = content['args']
            return kind(first.numpy() if rest else first, *rest)
        element = kind(metainfo=rebuild_batch(content['metainfo']))
        for key, value in content['fields'].items():
            setattr(element, key, rebuild_batch(value))
        return element
    if isinstance(content, dict):
        return {key: rebuild_batch(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(rebuild_batch(item) for item in content)
    return content


def limited(
    content: dict[str, Any], expendable: Sequence[str], limit: int
) -> tuple[dict[str, Any], list[str]]:
    """Leave entries out until the tensors fit a size.

    Args:
        content (dict): What is to be written.
        expendable (Sequence[str]): Keys that may go, the first one first.
        limit (int): In bytes.

    Returns:
        tuple[dict, list[str]]: What is left, and what was left out.
    """
    content, left_out = dict(content), []
    for key in expendable:
        if _size(content) > limit:
            content[key] = None
            left_out.append(key)
    return content, left_out


def _size(content: Any) -> int:
    if isinstance(content, Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, Mapping):
        content = list(content.values())
    if isinstance(content, (list, tuple)):
        return sum(map(_size, content))
    return 0


def _name(item: Any) -> str:
    return f'{type(item).__module__}.{type(item).__name__}'
