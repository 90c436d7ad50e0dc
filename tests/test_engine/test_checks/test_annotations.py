# Copyright (c) mmdiffkd contributors.
"""Data that does not fit, in sets and in every wrapper of sets."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import task_toys
from helpers.stock_models import stock
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from mmdiffkd.engine.checks.annotations import (
    check_annotations,
    check_built_data,
)
from mmdiffkd.engine.checks.classes import check_classes, label_conflicts
from mmdiffkd.engine.checks.data_sets import parts
from mmdiffkd.utils import UserError

SCOPES = task_toys.SCOPES
CLASSES = task_toys.CLASSES
WRAPPERS = {
    'none': lambda one, task: one,
    'concat': lambda one, task: dict(type='ConcatDataset', datasets=[one]),
    'repeat': lambda one, task: dict(
        type='RepeatDataset', dataset=one, times=2
    ),
    'balanced': lambda one, task: dict(
        type='ClassBalancedDataset', dataset=one, oversample_thr=0.1
    ),
    'mixed': lambda one, task: dict(
        type='MultiImageMixDataset', dataset=one, pipeline=[]
    ),
    'fold': lambda one, task: dict(
        type='KFoldDataset', dataset=one, num_splits=2, seed=0
    ),
    'repeated concat': lambda one, task: dict(
        type='ConcatDataset',
        datasets=[dict(type='RepeatDataset', dataset=one, times=2)],
    ),
}
# `RepeatDataset` and its kin take a set, or the config of anything.
WRAPPED = [
    (task, name)
    for task in SCOPES
    for name in WRAPPERS
    if not (
        (name == 'fold' and task != 'cls')
        or (name == 'mixed' and task == 'cls')
        or (name == 'balanced' and task == 'seg')  # no get_cat_ids there
    )
]


def image(path, value=0, shape=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(shape, value, np.uint8))


def coco(root, name='a.json', names=CLASSES, labels=(0, 1, 2, 1), **extra):
    """A COCO file with one object an image, and the set's config."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(len(labels)):
        image(root / f'{i}.png', shape=(16, 16, 3))
    (root / name).write_text(
        json.dumps(
            dict(
                images=[
                    dict(id=i, file_name=f'{i}.png', height=16, width=16)
                    for i in range(len(labels))
                ],
                annotations=[
                    dict(
                        id=i + 1,
                        image_id=i,
                        category_id=10 + label,
                        bbox=[1, 1, 8, 8],
                        area=64,
                        iscrowd=0,
                        **extra,
                    )
                    for i, label in enumerate(labels)
                ],
                categories=[
                    dict(id=10 + i, name=n) for i, n in enumerate(names)
                ],
            )
        )
    )
    return dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file=name,
        data_prefix=dict(img=''),
        metainfo=dict(classes=names),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
        ],
    )


def with_masks(cfg):
    cfg['pipeline'][1]['with_mask'] = True
    return cfg


def folders(root, names=CLASSES):
    """Images in folders, one for each class."""
    for name in names:
        for i in range(2):
            image(root / name / f'{i}.png', shape=(16, 16, 3))
    return dict(type='CustomDataset', data_root=str(root), pipeline=[])


def maps(root, classes=CLASSES, ids=(0, 1, 2)):
    """Images and label maps."""
    for i, value in enumerate(ids):
        image(root / 'img' / f'{i}.png', shape=(16, 16, 3))
        image(root / 'ann' / f'{i}.png', value)
    return dict(
        type='BaseSegDataset',
        data_root=str(root),
        img_suffix='.png',
        seg_map_suffix='.png',
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        metainfo=dict(classes=classes, palette=[[0] * 3] * len(classes)),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
        ],
    )


MAKERS = dict(det=coco, seg=maps, cls=folders)


def built(task, cfg):
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        if task == 'seg':
            import mmseg.datasets  # noqa: F401
        return DATASETS.build(ConfigDict(cfg))


def wrapped(task, name, cfg):
    if task == 'seg' and name == 'mixed':
        cfg = dict(type='ConcatDataset', datasets=[cfg])
    return built(task, WRAPPERS[name](cfg, task))


def student(task, classes=3):
    cfg = task_toys.student(task)
    part = dict(det='bbox_head', seg='decode_head', cls='head')[task]
    cfg[part]['num_classes'] = classes
    if task == 'cls':  # as the libraries' own configs leave it
        cfg['data_preprocessor']['num_classes'] = 1000
    return task_toys.build(task, cfg)


def runner_of(train, val=None):
    loops = [
        None
        if data is None
        else SimpleNamespace(dataloader=SimpleNamespace(dataset=data))
        for data in (train, val)
    ]
    return SimpleNamespace(train_loop=loops[0], val_loop=loops[1])


@pytest.mark.parametrize('task, name', WRAPPED)
def test_a_sound_set_passes(task, name, tmp_path):
    data = wrapped(task, name, MAKERS[task](tmp_path))
    found = list(parts(data, 'train_dataloader.dataset'))
    assert len(found) == 1
    assert check_built_data(runner_of(data, data), student(task)) == []


@pytest.mark.parametrize('task, name', WRAPPED)
def test_more_classes_than_the_head_has(task, name, tmp_path):
    data = wrapped(task, name, MAKERS[task](tmp_path))
    with pytest.raises(
        UserError, match='3 classes, and the student tells 2 .*num_classes'
    ):
        check_built_data(runner_of(data), student(task, 2))


@pytest.mark.parametrize('name', [n for t, n in WRAPPED if t == 'det'])
def test_boxes_where_masks_are_needed(name, tmp_path):
    data = wrapped('det', name, with_masks(coco(tmp_path)))
    with pytest.raises(
        UserError, match=r'train_dataloader\.dataset.*0\.png.*has no mask'
    ):
        check_built_data(runner_of(data), student('det'))
    # Validation loads them too.
    good = wrapped('det', 'none', coco(tmp_path))
    with pytest.raises(UserError, match=r'val_dataloader\.dataset.*no mask'):
        check_built_data(runner_of(good, data), student('det'))


def test_masks_that_are_there(tmp_path):
    polygon = [[1, 1, 9, 1, 9, 9]]
    data = built('det', with_masks(coco(tmp_path, segmentation=polygon)))
    assert not check_built_data(runner_of(data), student('det'))


def test_one_part_without_masks_is_named(tmp_path):
    polygon = [[1, 1, 9, 1, 9, 9]]
    sets = [
        with_masks(coco(tmp_path / 'a', segmentation=polygon)),
        with_masks(coco(tmp_path / 'b', segmentation=[])),
    ]
    data = built('det', dict(type='ConcatDataset', datasets=sets))
    with pytest.raises(UserError, match=r'dataset\.datasets\.1: .*no mask'):
        check_built_data(runner_of(data), student('det'))


def test_a_wrapper_loads_the_masks(tmp_path):
    """The pipeline of the wrapper counts as that of the set."""
    inner = coco(tmp_path)
    loader = inner['pipeline'].pop()
    data = built(
        'det',
        dict(
            type='MultiImageMixDataset',
            dataset=inner,
            pipeline=[dict(loader, with_mask=True)],
        ),
    )
    with pytest.raises(UserError, match='no mask'):
        check_built_data(runner_of(data), student('det'))


def test_a_mask_head_and_a_pipeline_without_masks(tmp_path):
    model = stock(
        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        roi_head__bbox_head__num_classes=3,
        roi_head__mask_head__num_classes=3,
    )
    data = built('det', coco(tmp_path, segmentation=[[1, 1, 9, 1, 9, 9]]))
    with pytest.raises(UserError, match='mask head.*with_mask=True'):
        check_built_data(runner_of(data), model)
    # Both remedies of the message: masks are loaded, or not needed.
    cfg = with_masks(coco(tmp_path, segmentation=[[1, 1, 9, 1, 9, 9]]))
    assert not check_built_data(runner_of(built('det', cfg)), model)
    assert not check_built_data(runner_of(data), student('det'))


def test_no_object_of_the_classes(tmp_path):
    data = built(
        'det', dict(coco(tmp_path), metainfo=dict(classes=('x', 'y', 'z')))
    )
    with pytest.raises(UserError, match='none of 4 images.*x.*ann_file'):
        check_built_data(runner_of(data), student('det'))


def test_classes_that_the_validation_file_does_not_know(tmp_path):
    """MMDetection ends in an IndexError once it comes to measure."""
    good = built('det', coco(tmp_path))
    data = built(
        'det', dict(coco(tmp_path), metainfo=dict(classes=('x', 'y', 'z')))
    )
    with pytest.raises(
        UserError, match=r"val_dataloader.*none of the classes.*'x'.*a\.json"
    ):
        check_built_data(runner_of(good, data), student('det'))
    assert not check_built_data(runner_of(good, good), student('det'))


def test_images_without_objects_beside_others(tmp_path):
    sets = [coco(tmp_path / 'a'), coco(tmp_path / 'b', labels=())]
    (tmp_path / 'b' / 'a.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=0, file_name='0.png', height=16, width=16)],
                annotations=[],
                categories=[
                    dict(id=10 + i, name=n) for i, n in enumerate(CLASSES)
                ],
            )
        )
    )
    data = built('det', dict(type='ConcatDataset', datasets=sets))
    assert not check_built_data(runner_of(data), student('det'))


def test_label_beyond_the_head(tmp_path):
    """Where nothing names the classes, the labels decide."""
    root = tmp_path / 'images'
    for i in range(3):
        image(root / f'{i}.png', shape=(16, 16, 3))
    (tmp_path / 'l.txt').write_text('0.png 0\n1.png 4\n2.png 1\n')
    data = built(
        'cls',
        dict(
            type='KFoldDataset',
            num_splits=5,
            dataset=dict(
                type='CustomDataset',
                data_root=str(tmp_path),
                ann_file='l.txt',
                data_prefix='images',
                pipeline=[],
            ),
        ),
    )
    with pytest.raises(UserError, match='1.png.*label 4.*3 classes.*set num'):
        check_built_data(runner_of(data), student('cls'))
    assert not check_built_data(runner_of(data), student('cls', classes=5))


def test_labels_of_several_classes(tmp_path):
    (tmp_path / 'l.json').write_text(
        json.dumps(
            dict(
                metainfo=dict(classes=['a', 'b', 'c']),
                data_list=[
                    dict(img_path='0.png', gt_label=[0, 2]),
                    dict(img_path='1.png', gt_label=[]),
                ],
            )
        )
    )
    cfg = dict(
        type='MultiLabelDataset',
        data_root=str(tmp_path),
        ann_file='l.json',
        pipeline=[],
    )
    data = built('cls', cfg)
    check_built_data(runner_of(data), student('cls'))
    with pytest.raises(UserError, match='3 classes.*tells 2'):
        check_built_data(runner_of(data), student('cls', 2))


def test_a_classifier_without_labels(tmp_path):
    folders(tmp_path)
    data = built(
        'cls',
        dict(
            type='RepeatDataset',
            times=2,
            dataset=dict(
                type='CustomDataset',
                data_root=str(tmp_path),
                with_label=False,
                pipeline=[],
            ),
        ),
    )
    with pytest.raises(UserError, match='no label.*with_label=True'):
        check_built_data(runner_of(data), student('cls'))
    good = built('cls', folders(tmp_path))
    assert not check_built_data(runner_of(good), student('cls'))
    # Nobody learns from validation images.
    check_built_data(runner_of(good, data), student('cls'))


@pytest.mark.parametrize('name', [n for t, n in WRAPPED if t == 'seg'])
def test_a_set_without_label_maps(name, tmp_path):
    cfg = maps(tmp_path)
    del cfg['data_prefix']['seg_map_path']
    data = wrapped('seg', name, cfg)
    with pytest.raises(UserError, match=r'data_prefix\.seg_map_path'):
        check_built_data(runner_of(data), student('seg'))
    data = wrapped('seg', name, maps(tmp_path))
    assert not check_built_data(runner_of(data), student('seg'))


def test_absent_label_maps(tmp_path):
    data = built('seg', maps(tmp_path))
    (tmp_path / 'ann' / '1.png').unlink()
    with pytest.raises(UserError, match='ann/1.png.*does not exist'):
        check_built_data(runner_of(data), student('seg'))


# ---------------------------------------------------- what a label means
OTHER = ('elm', 'ash', 'oak')


def conflicts(data, key='train_dataloader.dataset'):
    return list(label_conflicts(list(parts(data, key))))


@pytest.mark.parametrize('outer', ['none', 'repeat', 'mixed'])
def test_another_order_of_the_classes_is_told(outer, tmp_path):
    a, b = coco(tmp_path / 'a'), coco(tmp_path / 'b', names=OTHER)
    data = wrapped('det', outer, dict(type='ConcatDataset', datasets=[a, b]))
    (line,) = check_built_data(runner_of(data), student('det'))
    assert 'label 0 means two things' in line
    assert "'ash'" in line and "'elm'" in line
    assert 'another order' in line and 'datasets.1' in line


def test_another_order_in_the_config_alone_is_told(tmp_path):
    """MMDetection takes its order from the file, and the names from there."""
    a, b = coco(tmp_path), coco(tmp_path)
    b['metainfo'] = dict(classes=OTHER)
    data = built('det', dict(type='ConcatDataset', datasets=[a, b]))
    lines = conflicts(data)
    assert any('means two things' in line for line in lines)
    assert any(
        "label 0 is 'ash' and is called 'elm'" in line for line in lines
    )


def test_another_order_in_the_files_alone_is_told(tmp_path):
    """The same names in the config hide that the labels differ."""
    a, b = coco(tmp_path / 'a'), coco(tmp_path / 'b', names=OTHER)
    b['metainfo'] = dict(classes=CLASSES)
    data = built('det', dict(type='ConcatDataset', datasets=[a, b]))
    labels = [[data[i]['gt_bboxes_labels'].tolist() for i in (0, 4)]]
    assert labels == [[[0], [0]]]  # an ash, and an elm
    assert any('means two things' in line for line in conflicts(data))


def test_validation_in_another_order_is_told(tmp_path):
    train = built('det', coco(tmp_path / 'a'))
    val = built('det', coco(tmp_path / 'b', names=OTHER))
    (line,) = check_built_data(runner_of(train, val), student('det'))
    assert 'val_dataloader.dataset' in line


def test_a_class_that_the_file_lacks_shifts_labels(tmp_path):
    """MMDetection gives its label to the next class, without a word."""
    data = built(
        'det',
        dict(
            coco(tmp_path, names=CLASSES[1:], labels=(0, 1)),
            metainfo=dict(classes=CLASSES),
        ),
    )
    assert data[0]['gt_bboxes_labels'].tolist() == [0]
    (line,) = conflicts(data)
    assert "no category named 'ash'" in line
    assert "label 0 is 'elm' and is called 'ash'" in line


def test_three_same_sets_are_no_conflict(tmp_path):
    data = built(
        'det', dict(type='ConcatDataset', datasets=[coco(tmp_path)] * 3)
    )
    assert not conflicts(data)


def test_parts_of_plain_torch_sets(tmp_path):
    one = torch.utils.data.TensorDataset(torch.zeros(3))
    both = torch.utils.data.ConcatDataset(
        [torch.utils.data.Subset(one, [0]), one]
    )
    found = list(parts(both, 'k'))
    assert [part.key for part in found] == [
        'k.datasets.0.dataset',
        'k.datasets.1',
    ]
    check_classes(found, student('cls'))
    check_annotations(found, student('cls'), True)


class OfUsers(BaseDataset):
    """What a user writes; it keeps things where wrappers keep sets."""

    def __init__(self, samples, **kwargs):
        self.samples = samples
        self.dataset, self.datasets = 'coco', ['a', 'b']
        super().__init__(pipeline=[], **kwargs)

    def load_data_list(self):
        return [dict(img_path='x.png', **sample) for sample in self.samples]


def test_a_set_is_no_wrapper_for_what_it_keeps():
    data = OfUsers([dict(gt_label=0)], metainfo=dict(classes=tuple('abcde')))
    (part,) = parts(data, 'k')
    assert part.key == 'k' and part.dataset is data
    with pytest.raises(UserError, match='5 classes, and the student tells 3'):
        check_built_data(runner_of(data), student('cls'))


def test_a_wrapper_may_call_its_set_anything():
    class Mine(torch.utils.data.Dataset):
        def __init__(self, source):
            self._source = source

    data = OfUsers([dict(gt_label=0)], metainfo=dict(classes=tuple('abcde')))
    (part,) = parts(Mine(data), 'k')
    assert part.key == 'k.source' and part.dataset is data
    # Of two sets nobody knows which is trained on.
    two = Mine(data)
    two.other = data
    (part,) = parts(two, 'k')
    assert part.dataset is two


@pytest.mark.parametrize(
    'task, sample, wrong',
    [
        ('cls', dict(gt_label=np.int64(3)), 3),
        ('cls', dict(gt_label=np.array([0, 7])), 7),
        ('cls', dict(gt_label=-1), -1),
        ('det', dict(instances=[dict(bbox_label=np.int64(9))]), 9),
    ],
)
def test_labels_out_of_range_of_any_kind(task, sample, wrong):
    data = OfUsers([sample])
    with pytest.raises(UserError, match=f'the label {wrong}, but the student'):
        check_built_data(runner_of(data), student(task))


@pytest.mark.parametrize(
    'task, sample',
    [
        ('cls', dict(gt_label=-100)),  # what PyTorch ignores
        ('cls', dict(gt_label=np.int64(2))),
        ('cls', dict(gt_label=dict(colour=9, size=-1))),  # of several tasks
        ('det', dict(instances=[dict(bbox_label=-1, ignore_flag=1)])),
    ],
)
def test_labels_that_the_libraries_take(task, sample):
    data = OfUsers([sample])
    assert not check_built_data(runner_of(data), student(task))
