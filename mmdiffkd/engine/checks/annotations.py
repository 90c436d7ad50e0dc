# Copyright (c) mmdiffkd contributors.
"""Does a data set have the annotations that its task needs?

The libraries answer what is absent by a ``KeyError`` of a worker, at whatever
image comes first.
"""

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.runner import Runner
from torch import nn

from mmdiffkd.utils.errors import UserError

from .classes import check_classes, label_conflicts, num_classes
from .data_sets import Part, parts

LOOKED_AT = 2000  # samples a set, evenly spaced
LOOKED_AT_FILES = 3


def check_annotations(
    found: Sequence[Part], model: nn.Module, training: bool
) -> None:
    """Check that samples have what is loaded from them, or learned from.

    Up to :data:`LOOKED_AT` samples of each set are looked at, without their
    images.

    Args:
        found (Sequence[Part]): All sets of a data loader.
        model (nn.Module): The student.
        training (bool): Whether the data is trained on.

    Raises:
        UserError: If masks, boxes, labels or label maps are absent, or a
            label is beyond the classes of the student.
    """
    if training and found:
        _check_loaded(found, model)
    outputs = num_classes(model)
    # MMDetection leaves absent label maps out, and their head fails.
    semantic = training and _has_semantic_head(model)
    annotated, looked = 0, 0
    for part in found:
        wanted = _wanted(part.transforms)
        if not training:
            _check_names(part)
        for index, item in _samples(part.dataset):
            looked += 1
            _check_instances(part, item, wanted)
            if 'instances' not in item or semantic:
                _check_label_map(part, item, wanted, index)
            if training:
                labels = _labels(item)
                annotated += bool(item.get('instances', True))
                _check_label(part, item, model)
                if outputs is not None:
                    _check_range(part, item, labels, outputs)
    if training and looked and not annotated:
        raise UserError(
            f'{found[0].key}: none of {looked} images has an annotation of '
            'the classes '
            f'{getattr(found[0].dataset, "metainfo", {}).get("classes")}; '
            'check ann_file, and metainfo.classes against the names in it'
        )


def _check_names(part: Part) -> None:
    """Check that a COCO file knows a class of the set that is measured.

    MMDetection fails on it after the first epoch.
    """
    if getattr(part.dataset, 'cat_ids', None) == [] and len(part.dataset):
        raise UserError(
            f'{part.key}: none of the classes '
            f'{part.dataset.metainfo.get("classes")} is in '
            f'{part.dataset.ann_file!r}; check metainfo.classes against the '
            'names in it'
        )


def _wanted(transforms: Sequence[Any]) -> set[str]:
    """What the pipeline reads: ``with_mask``, ``with_seg`` and so on."""
    return {
        name
        for transform in transforms
        for name in ('with_bbox', 'with_label', 'with_mask', 'with_seg')
        # A subclass may find them elsewhere, as that for panoptic sets does.
        if type(transform).__name__ == 'LoadAnnotations'
        and getattr(transform, name, False) is True
    }


def _kinds(item: Any) -> list[str]:
    return [kind.__name__ for kind in type(item).__mro__]


def _samples(dataset: Any) -> Iterator[tuple[int, Mapping]]:
    """Annotations of some samples, where a set can tell them."""
    if not isinstance(dataset, BaseDataset):
        return  # what it costs to ask is not known
    step = max(1, len(dataset) // LOOKED_AT)
    for number, index in enumerate(range(0, len(dataset), step)):
        item = dataset.get_data_info(index)
        if isinstance(item, Mapping):
            yield number, item


def _name(item: Mapping) -> str:
    return repr(item.get('img_path', item.get('img_id')))


def _check_loaded(found: Sequence[Part], model: nn.Module) -> None:
    """Check that the pipelines load what the student learns from."""
    needs = []
    head = getattr(model, 'roi_head', None)
    if getattr(head, 'with_mask', False) is True:
        needs.append(('with_mask', 'a mask head (roi_head.mask_head)'))
    if _has_semantic_head(model):
        needs.append(('with_seg', 'a semantic head (semantic_head)'))
    for part in found:
        loaders = [
            t for t in part.transforms if 'LoadAnnotations' in _kinds(t)
        ]
        for name, what in needs:
            if loaders and not any(getattr(t, name, False) for t in loaders):
                raise UserError(
                    f'the student has {what}, and {part.key} loads nothing '
                    f'for it: set {name}=True in the LoadAnnotations of its '
                    'pipeline, or take a student without it'
                )


def _has_semantic_head(model: nn.Module) -> bool:
    return any(
        getattr(owner, 'semantic_head', None) is not None
        for owner in (model, getattr(model, 'roi_head', None))
    )


def _check_instances(part: Part, item: Mapping, wanted: set[str]) -> None:
    needs = [
        (key, what)
        for name, key, what in (
            ('with_bbox', 'bbox', 'box'),
            ('with_label', 'bbox_label', 'label'),
            ('with_mask', 'mask', 'mask'),
        )
        if name in wanted
    ]
    instances = item.get('instances')
    for instance in instances if isinstance(instances, (list, tuple)) else ():
        for key, what in needs:
            if key not in instance:
                raise UserError(
                    f'{part.key}: an object in image {_name(item)} has no '
                    f'{what}, and the pipeline loads it (with_{what}=True). '
                    + (
                        'Annotate masks (segmentation in COCO files), or take '
                        'a config without masks: no mask_head, and '
                        'with_mask=False'
                        if what == 'mask'
                        else f'Correct {_file(part)}'
                    )
                )


def _file(part: Part) -> str:
    return repr(getattr(part.dataset, 'ann_file', None) or part.key)


def _check_label_map(
    part: Part, item: Mapping, wanted: set[str], number: int
) -> None:
    """Check that there is a label map."""
    if 'with_seg' not in wanted:
        return
    path = item.get('seg_map_path')
    if not path:
        prefix = getattr(part.dataset, 'data_prefix', None) or {}
        name = 'seg' if 'img' in prefix else 'seg_map_path'
        raise UserError(
            f'{part.key}: there is no label map for image {_name(item)}, and '
            f'the pipeline loads one: set {part.key}.data_prefix.{name} to '
            'the folder of the label maps'
        )
    if (
        number < LOOKED_AT_FILES
        and isinstance(path, str)
        and '://' not in path
        and getattr(part.dataset, 'backend_args', None) is None
        and not osp.isfile(path)
    ):
        raise UserError(
            f'label file {path!r} of image {_name(item)} does not exist: '
            f'check {part.key}.data_prefix and seg_map_suffix'
        )


def _labels(item: Mapping) -> list[int]:
    """Classes of what is annotated, as far as they are plain numbers."""
    instances = item.get('instances')
    if isinstance(instances, (list, tuple)):
        labels: Sequence = [i.get('bbox_label') for i in instances]
    else:
        label = item.get('gt_label')
        tolist = getattr(label, 'tolist', None)
        label = label if tolist is None else tolist()
        labels = label if isinstance(label, (list, tuple)) else [label]
    return [int(i) for i in labels if isinstance(i, Integral)]


def _check_label(part: Part, item: Mapping, model: nn.Module) -> None:
    """Check that a classifier's sample has a class."""
    ours = all(
        type(t).__module__.split('.')[0].startswith('mm')
        for t in part.transforms
    )
    # A transform of the user's own may give it one.
    if (
        ours
        and {'ClsHead', 'MultiLabelClsHead'}
        & set(_kinds(getattr(model, 'head', None)))
        and 'sample_idx' in item
        and 'gt_label' not in item
        and 'gt_score' not in item
    ):
        raise UserError(
            f'{part.key}: image {_name(item)} has no label, and the student '
            'is a classifier: set with_label=True, or an ann_file with labels'
        )


def _check_range(
    part: Part, item: Mapping, labels: Sequence[int], outputs: int
) -> None:
    # MMDetection's objects to be ignored have -1, PyTorch's images -100.
    least = 0 if 'instances' not in item else min(labels, default=0)
    wrong = [
        label
        for label in labels
        if not (least <= label < outputs or label == -100)
    ]
    if wrong:
        raise UserError(
            f'{part.key}: image {_name(item)} has the label {wrong[0]}, but '
            f'the student has {outputs} classes, 0 to {outputs - 1}: correct '
            'the labels, or set num_classes of its head'
        )


def check_built_data(runner: Runner, student: nn.Module) -> list[str]:
    """Check the data of a run that is ready to train.

    Args:
        runner (Runner): Its loops are built.
        student (nn.Module): What is trained.

    Returns:
        list[str]: Warnings: labels that mean two things.

    Raises:
        UserError: If a set has more classes than a head of the student, or
            lacks annotations that it is used with.
    """
    data = []
    for phase in ('train', 'val'):
        loader = getattr(getattr(runner, f'{phase}_loop'), 'dataloader', None)
        dataset = getattr(loader, 'dataset', None)
        if dataset is None:
            continue
        found = list(parts(dataset, f'{phase}_dataloader.dataset'))
        if phase == 'train':
            check_classes(found, student)
        check_annotations(found, student, phase == 'train')
        data += found
    return list(label_conflicts(data))
