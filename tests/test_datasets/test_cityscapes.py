# Copyright (c) mmdiffkd contributors.
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdiffkd.datasets import (
    SEGMENTATION_CLASSES,
    SceneComposer,
    load_digit_pools,
    make_demo_set,
)
from mmdiffkd.datasets.cityscapes import PALETTE, VOID, label_map

CONFIG = Path(__file__).parents[2] / 'configs/demo/_base_/digits_seg.py'
SCENES = dict(train=4, val=2, test=3)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo')
    return make_demo_set(out, task='seg', scenes=SCENES)[0]


def read_all(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def test_equal_parameters_give_equal_bytes(demo, tmp_path):
    again, _ = make_demo_set(tmp_path, task='seg', scenes=SCENES)
    assert read_all(again) == read_all(demo)
    assert len(read_all(demo)) == 2 * 9 + 1


def test_pixels_are_labelled_by_digit_with_a_void_rim():
    scene = SceneComposer(load_digit_pools()['train']).compose(
        np.random.default_rng(3)
    )
    labels = label_map(scene)
    inked = np.zeros(labels.shape, bool)
    for digit in scene.digits:
        assert (labels[digit.mask] == digit.label + 1).all()
        inked |= digit.mask
    assert set(labels[~inked]) == {0, VOID}
    # Void is what touches ink, and nothing else.
    padded = np.pad(inked, 1)
    near = np.zeros_like(inked)
    for dy in range(3):
        for dx in range(3):
            near |= padded[
                dy : dy + labels.shape[0], dx : dx + labels.shape[1]
            ]
    np.testing.assert_array_equal(labels == VOID, near & ~inked)


def test_stock_cityscapes_dataset_reads_it(demo):
    from mmseg.datasets import CityscapesDataset
    from mmseg.utils import register_all_modules

    register_all_modules()
    dataset = CityscapesDataset(
        data_root=str(demo),
        data_prefix=dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train'
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
    )
    assert len(dataset) == SCENES['train']
    for item in dataset:
        labels = item['data_samples'].gt_sem_seg.data
        assert item['inputs'].shape[1:] == labels.shape[1:]
        assert set(labels.unique().tolist()) <= {*range(11), VOID}


@pytest.mark.parametrize('split', SCENES)
def test_config_reads_every_split_with_its_classes(demo, split):
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules

    register_all_modules()
    cfg = Config.fromfile(CONFIG)[f'{split}_dataloader'].dataset
    cfg.data_root = str(demo)
    dataset = DATASETS.build(cfg)
    assert len(dataset) == SCENES[split]
    assert tuple(dataset.metainfo['classes']) == SEGMENTATION_CLASSES
    palette = [tuple(colour) for colour in dataset.metainfo['palette']]
    assert palette == list(PALETTE)
    path = Path(dataset.get_data_info(0)['seg_map_path'])
    expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels = dataset[0]['data_samples'].gt_sem_seg.data[0]
    np.testing.assert_array_equal(labels, expected)
