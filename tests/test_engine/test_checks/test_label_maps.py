# Copyright (c) mmdiffkd contributors.
"""Wrong label files of a segmentation set, found before training."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdiffkd.engine.checks.settings import check_data
from mmdiffkd.utils import UserError


@pytest.fixture
def root(tmp_path):
    for index in range(2):
        for folder, suffix in (('img', 'jpg'), ('ann', 'png')):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(
                str(tmp_path / folder / f'{index}.{suffix}'),
                np.full((8, 8), index, np.uint8),
            )
    return tmp_path


def config(root, num_classes=2, distilled=True, **dataset):
    model = dict(
        type='EncoderDecoder', decode_head=dict(num_classes=num_classes)
    )
    if distilled:
        model = dict(type='mmdiffkd.FrozenTeacherDistill', architecture=model)
    return Config(
        dict(
            default_scope='mmseg',
            model=model,
            train_dataloader=dict(
                dataset=dict(
                    type='BaseSegDataset',
                    data_root=str(root),
                    data_prefix=dict(img_path='img', seg_map_path='ann'),
                    **dataset,
                )
            ),
        )
    )


def label(root, values):
    cv2.imwrite(str(root / 'ann/1.png'), np.array(values, np.uint8))


@pytest.mark.parametrize('distilled', [True, False])
def test_good_labels_with_void_pass(root, distilled):
    label(root, [[0, 1], [255, 255]])
    check_data(config(root, distilled=distilled), ('train',))


def test_one_output_tells_two_ids_apart(root):
    label(root, [[0, 1], [255, 255]])
    cfg = config(root, num_classes=1)
    cfg.model.architecture.decode_head.out_channels = 1
    check_data(cfg, ('train',))
    label(root, [[0, 2], [255, 255]])
    with pytest.raises(UserError, match=r'holds the ids \[2\]'):
        check_data(cfg, ('train',))


def test_id_without_a_class(root):
    label(root, [[0, 7], [255, 2]])
    with pytest.raises(
        UserError,
        match=r"ann/1.png' holds the ids \[2, 7\], "
        'but the student has 2 classes',
    ):
        check_data(config(root), ('train',))


def test_zero_as_void(root):
    label(root, [[0, 1], [2, 255]])
    with pytest.raises(UserError, match='reduce_zero_label'):
        check_data(config(root), ('train',))
    check_data(config(root, reduce_zero_label=True), ('train',))


def test_other_void_id(root):
    label(root, [[0, 1], [1, 11]])
    with pytest.raises(UserError, match=r'\[11\].*ignores 255'):
        check_data(config(root), ('train',))
    check_data(config(root, ignore_index=11), ('train',))


def test_colours_in_the_place_of_ids(root):
    label(root, np.zeros((8, 8, 3)))
    with pytest.raises(UserError, match=r'ann/1.png.*\(8, 8, 3\).*colours'):
        check_data(config(root), ('train',))


def test_absent_label_file(root):
    (root / 'ann/0.png').unlink()
    with pytest.raises(
        UserError,
        match='ann/0.png.*does not exist.*'
        'train_dataloader.dataset.seg_map_suffix',
    ):
        check_data(config(root), ('train',))


def test_no_image_of_that_suffix(root):
    with pytest.raises(UserError, match="finds no image.*'.tif'"):
        check_data(config(root, img_suffix='.tif'), ('train',))


def test_suffixes_that_the_messages_tell_to_set(root):
    for index in range(2):
        old = root / f'ann/{index}.png'
        old.rename(old.with_name(f'{index}_ids.png'))
    with pytest.raises(UserError, match='or train_dataloader.dataset.seg_map'):
        check_data(config(root), ('train',))
    check_data(config(root, seg_map_suffix='_ids.png'), ('train',))
    for path in (root / 'img').iterdir():
        path.rename(path.with_suffix('.tif'))
    with pytest.raises(UserError, match='or train_dataloader.dataset.img_suf'):
        check_data(config(root, seg_map_suffix='_ids.png'), ('train',))
    check_data(
        config(root, img_suffix='.tif', seg_map_suffix='_ids.png'), ('train',)
    )
