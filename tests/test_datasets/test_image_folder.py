# Copyright (c) mmdiffkd contributors.
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdiffkd.datasets import (
    CLASSES,
    SceneComposer,
    SceneDigit,
    load_digit_pools,
    make_demo_set,
    read_manifest,
)
from mmdiffkd.datasets.image_folder import EXTENT, SHIFT, SIDE, crop

CONFIG = Path(__file__).parents[2] / 'configs/demo/_base_/digits_cls.py'
SCENES = dict(train=4, val=2, test=3)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo')
    return make_demo_set(out, task='cls', scenes=SCENES)[0]


def read_all(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def test_equal_parameters_give_equal_bytes(demo, tmp_path):
    again, _ = make_demo_set(tmp_path, task='cls', scenes=SCENES)
    assert read_all(again) == read_all(demo)
    other, _ = make_demo_set(
        tmp_path / 'other', task='cls', scenes=SCENES, seed=1
    )
    assert not set(read_all(other).values()) & set(read_all(demo).values())


def test_there_is_one_image_for_each_digit_of_the_scenes(demo, tmp_path):
    detection, _ = make_demo_set(tmp_path, scenes=SCENES)
    instances = read_manifest(detection)['sizes']
    for split, size in read_manifest(demo)['sizes'].items():
        assert size['images'] == instances[split]['instances']
        assert size['images'] == len(list((demo / split).glob('*/*.png')))
        # All classes, also those without an image.
        assert sorted(path.name for path in (demo / split).iterdir()) == [
            str(label) for label in range(10)
        ]


def test_the_labelled_digit_is_whole_and_near_the_middle():
    """Crops of a picture that holds nothing but one digit's mask."""
    composer = SceneComposer(load_digit_pools()['val'])
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(40):
        scene = composer.compose(rng)
        for digit in scene.digits:
            mask = 255 * np.repeat(digit.mask[..., None], 3, 2).astype('uint8')
            shown = crop(mask, digit, rng)
            assert shown.shape == (SIDE, SIDE, 3) and shown.dtype == np.uint8
            rows, cols = np.nonzero(shown[..., 0] > 30)
            extent = max(np.ptp(rows), np.ptp(cols)) + 1
            # Resampling blurs the edge by about a pixel on either side.
            assert EXTENT[0] * SIDE - 2 <= extent <= EXTENT[1] * SIDE + 3
            seen.append(extent / SIDE)
            x, y, width, height = digit.box
            inside = min(x, y, 128 - x - width, 128 - y - height)
            if inside > 40:  # no edge of the scene is near
                middle = (
                    np.array(
                        [rows.min() + rows.max(), cols.min() + cols.max()]
                    )
                    / 2
                    + 0.5
                )
                assert abs(middle / SIDE - 0.5).max() < SHIFT + 0.05
    assert np.ptp(seen) > 0.25  # sizes do vary


def test_a_digit_as_large_as_the_scene_fits():
    mask = np.zeros((48, 48), bool)
    mask[1:47, 10:30] = True
    shown = crop(
        np.zeros((48, 48, 3), np.uint8),
        SceneDigit(1, 0, mask),
        np.random.default_rng(0),
    )
    assert shown.shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize('split', SCENES)
def test_stock_imagenet_dataset_reads_every_split(demo, split):
    from mmpretrain.registry import DATASETS
    from mmpretrain.utils import register_all_modules

    register_all_modules()
    cfg = Config.fromfile(CONFIG)[f'{split}_dataloader'].dataset
    cfg.data_root = str(demo)
    dataset = DATASETS.build(cfg)
    assert tuple(dataset.CLASSES) == CLASSES
    assert len(dataset) == read_manifest(demo)['sizes'][split]['images']
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = Path(info['img_path'])
        assert info['gt_label'] == int(path.parent.name)
        item = dataset[index]
        assert item['data_samples'].gt_label.item() == info['gt_label']
        assert item['inputs'].shape == (3, SIDE, SIDE)
    if split == 'test':
        pixels = cv2.imread(str(path))
        np.testing.assert_array_equal(item['inputs'].permute(1, 2, 0), pixels)


def test_stock_custom_dataset_reads_it(demo):
    from mmpretrain.datasets import CustomDataset

    dataset = CustomDataset(data_root=str(demo), data_prefix='train')
    assert len(dataset) == read_manifest(demo)['sizes']['train']['images']
    assert set(dataset.get_gt_labels()) <= set(range(10))
