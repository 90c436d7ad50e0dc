"""Batches of random images are of the size that was asked for."""

import pytest
import torch
from helpers import task_toys

from mmdiffkd.engine.sweep.batches import batch, pad_to


@pytest.fixture(scope='module', params=task_toys.TASKS)
def model(request):
    return task_toys.build(request.param, task_toys.student(request.param))


def test_images_and_labels_have_height_and_width(model):
    data = batch(model, (64, 96), count=3)
    assert [image.shape for image in data['inputs']] == [(3, 64, 96)] * 3
    for sample in data['data_samples']:
        if 'gt_instances' in sample:
            boxes = sample.gt_instances.bboxes.tensor
            assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
            assert (boxes <= torch.tensor([96, 64, 96, 64])).all()
            # Wider than high images have boxes that use the width.
            assert boxes[:, 2].max() > 40
        if 'gt_sem_seg' in sample:
            assert sample.gt_sem_seg.shape == (64, 96)


def test_a_square_is_one_side_or_two(model):
    one, two = batch(model, 64), batch(model, (64, 64))
    assert all(map(torch.equal, one['inputs'], two['inputs']))
    for a, b in zip(one['data_samples'], two['data_samples']):
        assert a.to_dict().keys() == b.to_dict().keys()
        if 'gt_instances' in a:
            boxes = [s.gt_instances.bboxes.tensor for s in (a, b)]
            assert torch.equal(*boxes)
        if 'gt_sem_seg' in a:
            maps = [s.gt_sem_seg.values()[0] for s in (a, b)]
            assert torch.equal(*maps)


def test_a_model_takes_a_step_on_a_rectangle(model):
    pad_to(model.data_preprocessor, (64, 96))
    data = model.data_preprocessor(batch(model, (64, 96)), True)
    assert data['inputs'].shape[-2:] == (64, 96)
    total, _ = model.parse_losses(model.train()(**data, mode='loss'))
    assert torch.isfinite(total)


def test_a_detector_may_have_more_classes_than_a_byte_counts():
    from helpers import toys

    detector = toys.build(toys.detector())
    detector.bbox_head.num_classes = 365
    sample = batch(detector, 64)['data_samples'][0]
    assert sample.gt_sem_seg.sem_seg.max() == 1
