# Copyright (c) mmdiffkd contributors.
"""Read the label file of a classification set before training begins."""

import os.path as osp
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdiffkd.utils.errors import UserError

from .classes import student_head


def check_label_list(cfg: Config, key: str, dataset: Mapping) -> None:
    """Check that every line of a label file names a class of the student.

    PyTorch answers a label out of range with an index error on the CPU and
    with a failure of the device on a GPU, neither of which names the file.

    Args:
        cfg (Config): Config.
        key (str): Config key of the dataset, for the message.
        dataset (Mapping): Config of a dataset of MMPretrain. Others,
            those whose classes are folders, and files elsewhere than on
            this machine are left alone.

    Raises:
        UserError: Naming the first line that is no image and label, or whose
            label the student has no class for.
    """
    num_classes = student_head(cfg, 'head').get('num_classes')
    ann_file = dataset.get('ann_file')
    path = osp.join(dataset.get('data_root') or '', ann_file or '')
    if (
        num_classes is None
        or not ann_file
        or not osp.isfile(path)
        or not dataset.get('with_label', True)
        or not _is_custom(cfg, dataset)
    ):
        return
    with open(path, encoding='utf-8', errors='replace') as lines:
        for number, line in enumerate(lines, 1):
            words = line.strip().rsplit(' ', 1)
            label = _label(words[1]) if len(words) == 2 else None
            if label is None:
                raise UserError(
                    f'line {number} of label file {path!r} is '
                    f'{line.strip()[:60]!r}; {key} needs an image and the '
                    "number of its class, such as 'cat/1.jpg 3'"
                )
            if not 0 <= label < num_classes:
                raise UserError(
                    f'line {number} of label file {path!r} has the label '
                    f'{words[1]}, but the student has {num_classes} classes, '
                    f'0 to {num_classes - 1}: correct the labels, or set '
                    'num_classes of the head (of student and teacher)'
                )


def _label(word: str) -> int | None:
    """The number, as MMPretrain will read it, or None if it is not one."""
    try:
        return int(word)
    except ValueError:
        return None


def _is_custom(cfg: Config, dataset: Mapping) -> bool:
    """Whether the label file has the format ``image label``."""
    if cfg.get('default_scope') != 'mmpretrain' and not str(
        dataset.get('type')
    ).startswith('mmpretrain.'):
        return False
    from mmpretrain.datasets import CustomDataset

    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    with DATASETS.switch_scope_and_registry(None) as registry:
        kind = registry.get(dataset.get('type'))
    # A subclass may read its file in a way of its own.
    load = getattr(kind, 'load_data_list', None)
    return load is CustomDataset.load_data_list
