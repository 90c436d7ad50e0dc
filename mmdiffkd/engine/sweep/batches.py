# Copyright (c) mmdiffkd contributors.
"""Random images with labels of the kind that a model trains on."""

from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import nn

Size = int | tuple[int, int]
"""Side of a square image, or height and width; in pixels."""


class OtherInput(Exception):
    """The model trains on something else than single labelled images."""


def kind_of(model: nn.Module) -> str:
    """What a model is trained on: ``'det'``, ``'seg'`` or ``'cls'``.

    Raises:
        OtherInput: Naming what it is, if it is none of these.
    """
    from mmdet.models import BaseMOTModel
    from mmdet.models.detectors import BaseDetector, SemiBaseDetector
    from mmdet.models.reid import BaseReID
    from mmpretrain.models import BaseClassifier, BaseSelfSupervisor
    from mmseg.models.segmentors import BaseSegmentor

    if isinstance(model, BaseMOTModel):
        raise OtherInput('video: several frames with tracks')
    if isinstance(model, SemiBaseDetector):
        raise OtherInput('semi-supervised: branches with and without labels')
    if isinstance(model, BaseSelfSupervisor):
        raise OtherInput('self-supervised: several views or masks, no labels')
    if isinstance(model, BaseReID):
        raise OtherInput('re-identification: groups of images of one person')
    if hasattr(model, 'language_model') or hasattr(
        model, 'language_model_cfg'
    ):
        raise OtherInput('text')
    for kind, parent in (
        ('det', BaseDetector),
        ('seg', BaseSegmentor),
        ('cls', BaseClassifier),
    ):
        if isinstance(model, parent):
            return kind
    module = type(model).__module__
    if '.multimodal' in module:
        raise OtherInput('text')
    raise OtherInput(f'neither detector, segmentor nor classifier: {module}')


def batch(
    model: nn.Module, size: Size, count: int = 2, semantic_stride: int = 1
) -> dict[str, Any]:
    """Make what a data loader would give.

    Args:
        model (nn.Module): Of a library, built.
        size (int | tuple[int, int]): Of the images, in pixels: one side, or
            height and width.
        count (int): Number of images. Defaults to 2.
        semantic_stride (int): Pixels of the image to one of the semantic map
            of a detector. Defaults to 1.

    Returns:
        dict: ``inputs`` and ``data_samples``, for the model's
        ``data_preprocessor``.

    Raises:
        OtherInput: See :func:`kind_of`.
    """
    kind = kind_of(model)
    rng = np.random.RandomState(0)
    classes = fewest_classes(model)
    sides = as_sides(size)
    shape = (image_channels(model), *sides)
    images = [
        torch.from_numpy(rng.randint(0, 256, shape, np.uint8))
        for _ in range(count)
    ]
    if kind == 'det':
        samples = [
            _detection(rng, sides, classes, semantic_stride) for _ in images
        ]
        if not any('mask' in name for name, _ in model.named_modules()):
            for sample in samples:  # as a pipeline without masks gives them
                del sample.gt_instances.masks, sample.ignored_instances.masks
    elif kind == 'seg':
        samples = [_segmentation(rng, sides, classes) for _ in images]
    else:
        multi = 'MultiLabel' in type(getattr(model, 'head', None)).__name__
        multi |= hasattr(getattr(model, 'head', None), 'thr')
        samples = [_classification(i, classes, multi) for i in range(count)]
    return dict(inputs=images, data_samples=samples)


def as_sides(size: Size) -> tuple[int, int]:
    """Height and width of an image, given by one side or by both."""
    return (size, size) if isinstance(size, int) else size


def pad_to(preprocessor: Any, size: Size) -> None:
    """Let a preprocessor that pads all images to one size pad to this one.

    Args:
        preprocessor (BaseDataPreprocessor): Of a model, changed in place.
        size (int | tuple[int, int]): As of :func:`batch`.
    """
    # MMPretrain's are one object, which pads nothing.
    augments = getattr(preprocessor, 'batch_augments', None)
    several = augments if isinstance(augments, (list, nn.ModuleList)) else ()
    for part in (preprocessor, *several):
        if isinstance(getattr(part, 'size', None), (tuple, list)):
            part.size = as_sides(size)


def fewest_classes(model: nn.Module) -> int:
    """Number of classes that all heads have, at least 1."""
    found = [
        number
        for module in model.modules()
        for name in ('num_classes', 'num_things_classes')
        if isinstance(number := vars(module).get(name), int) and number > 0
    ]
    return min(found, default=2)


def image_channels(model: nn.Module) -> int:
    """Channels of an image: three, or one for a model of grey images."""
    convolutions = (
        m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)
    )
    return 1 if next(convolutions, 3) == 1 else 3


def _meta(sides: tuple[int, int]) -> dict[str, Any]:
    return dict(
        img_shape=sides,
        ori_shape=sides,
        pad_shape=sides,
        batch_input_shape=sides,
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
        img_path='',
        img_id=0,
        border=[1, 1, 1, 1],  # of CenterNet's and CornerNet's crops
    )


def _detection(
    rng: np.random.RandomState,
    sides: tuple[int, int],
    classes: int,
    stride: int,
) -> Any:
    """Three boxes with masks, proposals, and a semantic map."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    height, width = sides
    units = np.array([width, height, width, height])
    corners = rng.uniform(0, 0.5, (3, 2))
    extents = np.array([[0.2, 0.3], [0.35, 0.25], [0.5, 0.5]])
    boxes = (np.hstack([corners, corners + extents]) * units).round()
    masks = np.zeros((3, *sides), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
        mask[top:bottom, left:right] = 1
    sample = DetDataSample(metainfo=_meta(sides))
    sample.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(boxes, dtype=torch.float32),
        labels=torch.arange(3) % classes,
        masks=BitmapMasks(masks, *sides),
    )
    sample.ignored_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.zeros(0, 4)),
        labels=torch.zeros(0).long(),
        masks=BitmapMasks(np.zeros((0, *sides), np.uint8), *sides),
    )
    around = boxes + rng.uniform(-0.05, 0.05, (8, 3, 4)) * units
    around = around.clip(0, units).reshape(-1, 4)
    sample.proposals = InstanceData(
        bboxes=torch.from_numpy(around).float(),
        scores=torch.rand(24),
    )
    semantic = masks[:, ::stride, ::stride].max(0, keepdims=True).astype(int)
    sample.gt_sem_seg = PixelData(
        sem_seg=torch.from_numpy(semantic % classes).long()
    )
    return sample


def _segmentation(
    rng: np.random.RandomState, sides: tuple[int, int], classes: int
) -> Any:
    """Squares of random classes, their edges, and a depth."""
    from mmseg.structures import SegDataSample

    height, width = sides
    coarse = rng.randint(0, classes, (8, 8))
    square = np.ones((-(-height // 8), -(-width // 8)), int)
    labels = np.kron(coarse, square)[None, :height, :width]
    edges = labels != np.roll(labels, 1, 2)
    sample = SegDataSample(metainfo=_meta(sides))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels).long())
    sample.gt_edge_map = PixelData(data=torch.from_numpy(edges).long())
    depth = rng.uniform(1, 5, (1, *sides))
    sample.gt_depth_map = PixelData(data=torch.from_numpy(depth).float())
    return sample


def _classification(index: int, classes: int, multi: bool) -> Any:
    from mmpretrain.structures import DataSample

    sample = DataSample(metainfo=dict(num_classes=classes))
    label = index % classes
    return sample.set_gt_label([label] if multi else label)
