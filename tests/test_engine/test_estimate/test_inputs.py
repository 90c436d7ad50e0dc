# Copyright (c) mmdiffkd contributors.
"""Batch and image size of a config, as its training pipeline has them."""

import pytest
from mmengine.config import Config

from mmdiffkd.engine.estimate.inputs import batch_size, input_size
from mmdiffkd.utils import UserError


def config(*transforms, divisor=1, **dataset):
    return Config(
        dict(
            model=dict(data_preprocessor=dict(pad_size_divisor=divisor)),
            train_dataloader=dict(
                batch_size=4,
                dataset=dict(pipeline=list(transforms), **dataset),
            ),
        )
    )


@pytest.mark.parametrize(
    'transforms, expected',
    [
        # Width before height, padded to multiples of 32.
        (
            [dict(type='Resize', scale=(1333, 800), keep_ratio=True)],
            (800, 1344),
        ),
        # The largest of several.
        (
            [
                dict(
                    type='RandomChoiceResize',
                    scales=[(1333, 640), (1333, 800)],
                    keep_ratio=True,
                )
            ],
            (800, 1344),
        ),
        # The last one decides; a crop has its height first.
        (
            [
                dict(type='RandomResize', scale=(2048, 1024)),
                dict(type='RandomCrop', crop_size=(512, 1024)),
            ],
            (512, 1024),
        ),
        ([dict(type='RandomResizedCrop', scale=224)], (224, 224)),
    ],
)
def test_the_size_of_the_largest_batch(transforms, expected):
    assert input_size(config(*transforms, divisor=32)) == expected


def test_the_outer_set_has_the_last_word():
    inner = dict(pipeline=[dict(type='Resize', scale=(320, 320))])
    outer = dict(type='Mosaic', img_scale=(640, 480))
    assert input_size(config(outer, dataset=inner)) == (480, 640)


def test_sizes_and_batches_that_nothing_names():
    with pytest.raises(UserError, match='--input-size'):
        input_size(config(dict(type='RandomFlip', prob=0.5)))
    assert batch_size(config()) == 4
    with pytest.raises(UserError, match='--batch-size'):
        batch_size(Config(dict(model=dict())))
