# Copyright (c) mmdiffkd contributors.
"""Look at a few label files of a segmentation set before training begins."""

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdiffkd.utils.errors import UserError

from .classes import student_head

LOOKED_AT = 3  # files a dataset; a wrong format shows in the first


def check_label_maps(cfg: Config, key: str, dataset: Mapping) -> None:
    """Check that label maps exist and hold ids of the student's classes.

    PyTorch answers an id out of range with an index error on the CPU and
    with a failure of the device on a GPU, neither of which names the file.

    Args:
        cfg (Config): Config.
        key (str): Config key of the dataset, for the message.
        dataset (Mapping): Config of a dataset of MMSegmentation.

    Raises:
        UserError: If there are no images, a label file is absent, is no map
            of ids, or has an id that the student has no class for.
    """
    num_classes = _num_classes(cfg)
    if num_classes is None:
        return
    from mmcv import imfrombytes
    from mmengine.fileio import get
    from mmseg.datasets import BaseSegDataset

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with DATASETS.switch_scope_and_registry(None) as registry:
        kind = registry.get(dataset.get('type'))
    if not (isinstance(kind, type) and issubclass(kind, BaseSegDataset)):
        return
    # Unserialised, an empty list is no error.
    built = DATASETS.build(
        {
            **dataset,
            'pipeline': [],
            'lazy_init': False,
            'serialize_data': False,
        }
    )
    if not len(built):
        raise UserError(
            f'{key} finds no image: no file in '
            f'{built.data_prefix.get("img_path")!r} ends in '
            f'{built.img_suffix!r}; set {key}.data_prefix or '
            f'{key}.img_suffix'
        )
    for index in range(min(LOOKED_AT, len(built))):
        item = built.get_data_info(index)
        path = item['seg_map_path']
        if '://' not in path and not osp.isfile(path):
            raise UserError(
                f'label file {path!r} of image {item["img_path"]!r} does not '
                f'exist: set {key}.data_prefix.seg_map_path or '
                f'{key}.seg_map_suffix'
            )
        labels = imfrombytes(
            get(path, backend_args=built.backend_args),
            flag='unchanged',
            backend='pillow',
        )
        _check_ids(labels, item, built.ignore_index, num_classes, key)


def _check_ids(
    labels: Any, item: Mapping, ignore_index: int, num_classes: int, key: str
) -> None:
    """Check one map, as MMSegmentation will read it."""
    path = item['seg_map_path']
    if labels.ndim != 2:
        raise UserError(
            f'label file {path!r} has the shape {labels.shape}; {key} needs '
            'class ids, one channel, not colours: convert the labels'
        )
    ids = set(np.unique(labels).tolist())
    if item.get('reduce_zero_label'):
        ids = {255 if i in (0, 255) else i - 1 for i in ids}
    label_map = item.get('label_map') or {}
    ids = {label_map.get(i, i) for i in ids} - {ignore_index}
    wrong = sorted(i for i in ids if not 0 <= i < num_classes)
    if wrong:
        raise UserError(
            f'label file {path!r} holds the ids {wrong[:8]}, but the student '
            f'has {num_classes} classes, 0 to {num_classes - 1}, and ignores '
            f'{ignore_index}: convert the labels, or set num_classes of '
            f'decode_head (and {key}.reduce_zero_label where 0 is none)'
        )


def _num_classes(cfg: Config) -> Any:
    """Classes of the student's head, or None if there is no such head."""
    head = student_head(cfg, 'decode_head')
    if head.get('out_channels') == 1:
        return 2  # below a threshold, and above
    return head.get('num_classes')
