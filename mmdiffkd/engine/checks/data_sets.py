# Copyright (c) mmdiffkd contributors.
"""The data sets inside wrappers, and what their labels mean."""

import json
import mmap
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.dataset import BaseDataset


class Part(NamedTuple):
    """A data set that reads files, below any number of wrappers.

    Attributes:
        key (str): Its config key, such as
            ``train_dataloader.dataset.datasets.1``.
        dataset (Dataset): The built set.
        transforms (list): All that its samples pass, inner ones first.
    """

    key: str
    dataset: Any
    transforms: list


def parts(dataset: Any, key: str) -> Iterator[Part]:
    """Yield the sets below wrappers, those without one included.

    A wrapper is whatever has ``datasets`` or ``dataset``, as the
    ``ConcatDataset``, ``RepeatDataset``, ``ClassBalancedDataset``,
    ``MultiImageMixDataset`` and ``KFoldDataset`` of the libraries do; or
    whatever keeps a single set of a library under another name.

    Args:
        dataset (Dataset): A built set.
        key (str): Its config key.

    Yields:
        Part: In the order of the config.
    """
    own = _transforms(dataset)
    if isinstance(dataset, BaseDataset):  # whatever else it keeps there
        yield Part(key, dataset, own)
        return
    several = getattr(dataset, 'datasets', None)
    if isinstance(several, (list, tuple)):
        inner = [
            part
            for i, item in enumerate(several)
            for part in parts(item, f'{key}.datasets.{i}')
        ]
    elif getattr(dataset, 'dataset', None) is not None:
        inner = list(parts(dataset.dataset, f'{key}.dataset'))
    else:
        held = _held(dataset)
        if len(held) != 1:
            yield Part(key, dataset, own)
            return
        ((name, item),) = held.items()
        inner = list(parts(item, f'{key}.{name.lstrip("_")}'))
    for part in inner:
        yield part._replace(transforms=part.transforms + own)


def _held(dataset: Any) -> dict[str, BaseDataset]:
    """Sets of a library that a user's own wrapper keeps, by its names."""
    return {
        name: item
        for name, item in getattr(dataset, '__dict__', {}).items()
        if isinstance(item, BaseDataset)
    }


def _transforms(item: Any) -> list:
    """Transforms of a set, those inside of others (random choices) too."""
    own = getattr(item, 'pipeline', None) or []
    own = getattr(own, 'transforms', own)
    found = []
    for transform in own if isinstance(own, (list, tuple)) else []:
        stack = [transform]
        while stack:
            one = stack.pop()
            if isinstance(one, (list, tuple)):
                stack += reversed(one)
                continue
            found.append(one)
            inner = getattr(one, 'transforms', None)
            stack.append(getattr(inner, 'transforms', inner) or [])
    return found


def class_names(dataset: Any) -> tuple[str, ...]:
    """Names of the classes that a set says it has; empty if it says none."""
    meta = getattr(dataset, 'metainfo', None)
    names = meta.get('classes') if isinstance(meta, Mapping) else None
    if not isinstance(names, Sequence) or isinstance(names, str):
        return ()
    return tuple(map(str, names))


def label_names(dataset: Any) -> tuple[str, ...]:
    """What the labels 0, 1, ... of a set mean.

    MMDetection numbers the classes of a COCO file in the order of the
    ``categories`` of that file, whatever the order in ``metainfo``.

    Args:
        dataset (Dataset): A set, no wrapper.

    Returns:
        tuple[str]: Names; those of :func:`class_names` unless the file says
        something else.
    """
    names = class_names(dataset)
    ids = getattr(dataset, 'cat_ids', None)
    path = getattr(dataset, 'ann_file', None)
    if not names or not isinstance(ids, (list, tuple)):
        return names
    found = _categories(path)
    if not found or any(number not in found for number in ids):
        return names
    return tuple(found[number] for number in ids)


def _categories(path: Any) -> dict[int, str]:
    """Names of a COCO file's categories, without reading all of it."""
    if not isinstance(path, str) or not osp.isfile(path):
        return {}
    if not osp.getsize(path):
        return {}
    with (
        open(path, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        start = text.rfind(b'"categories"')
        start = text.find(b'[', start) if start >= 0 else -1
        if start < 0:
            return {}
        # A thousand categories take some 100 kB.
        chunk = text[start : start + 4_000_000].decode('utf-8', 'replace')
    try:
        items, _ = json.JSONDecoder().raw_decode(chunk)
        return {item['id']: str(item['name']) for item in items}
    except (ValueError, TypeError, KeyError):
        return {}
