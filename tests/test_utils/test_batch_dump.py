# Copyright (c) mmdiffkd contributors.
"""A batch of each library, written by tensors alone and read again."""

import numpy as np
import pytest
import torch
from helpers import task_toys
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import BaseDataElement, InstanceData

from mmdiffkd.utils.batch_dump import (
    batch_content,
    image_paths,
    limited,
    rebuild_batch,
)


def assert_alike(one, other):
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, BaseDataElement):
        assert_alike(one.metainfo, other.metainfo)
        assert_alike(dict(one.items()), dict(other.items()))
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other):
            assert_alike(*pair)
    elif isinstance(getattr(one, 'tensor', None), torch.Tensor):
        assert torch.equal(one.tensor, other.tensor)
    else:
        assert one == other


@pytest.mark.parametrize('task', ['det', 'seg', 'cls'])
def test_a_batch_of_each_library_comes_back(task, tmp_path):
    batch = task_toys.batch(task)
    torch.save(batch_content(batch), tmp_path / 'batch.pth')
    content = torch.load(tmp_path / 'batch.pth', weights_only=True)
    assert_alike(rebuild_batch(content), batch)


def test_masks_come_back_and_numbers_of_numpy_become_pythons():
    masks = BitmapMasks(np.eye(4, dtype=np.uint8)[None], 4, 4)
    sample = InstanceData(masks=masks, metainfo=dict(scale=np.float32(2)))
    back = rebuild_batch(batch_content(sample))
    assert (back.masks.masks == masks.masks).all()
    assert back.scale == 2 and type(back.scale) is float


def test_what_no_tensor_holds_becomes_words():
    assert batch_content(dict(a=slice(1, 2))) == dict(a='slice(1, 2, None)')


@pytest.mark.parametrize('kind', ['os.system', 'builtins.eval', 'torch.load'])
def test_a_file_names_classes_of_the_libraries_alone(kind):
    with pytest.raises(ValueError, match=kind):
        rebuild_batch(dict(__kind__=kind, args=['x']))


def test_paths_are_found_wherever_samples_lie():
    samples = [
        BaseDataElement(metainfo=dict(img_path=f'{i}.png')) for i in 'ab'
    ]
    batch = dict(inputs=torch.zeros(2), data_samples=(samples, [None]))
    assert image_paths(batch) == ['a.png', 'b.png']
    assert image_paths(dict(data_samples=[BaseDataElement()])) == []


def test_what_may_go_goes_in_order_until_the_rest_fits():
    content = dict(a=torch.zeros(100), b=[torch.zeros(100)], c='x')
    assert limited(content, ('a', 'b'), 800) == (content, [])
    left, gone = limited(content, ('a', 'b'), 799)
    assert gone == ['a'] and left['a'] is None and left['b'] is content['b']
    assert limited(content, ('a', 'b'), 10)[1] == ['a', 'b']
    assert content['a'] is not None  # the caller's is left alone
