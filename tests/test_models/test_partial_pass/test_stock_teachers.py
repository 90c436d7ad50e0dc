# Copyright (c) mmdiffkd contributors.
"""Multiply-adds of stock teachers; ``-s`` shows them."""

import pytest
import torch
from helpers.stock_models import stock
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from mmrazor.models.distillers import ConfigurableDistiller
from mmseg.structures import SegDataSample
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.models.algorithms.early_exit import EarlyExit

RETINA = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
FASTER = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
MASK = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
GFL = 'mmdet::gfl/gfl_r50_fpn_1x_coco.py'
DEEPLAB = 'mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py'
SIZE = (192, 256)


def levels(source, count=5):
    """Calls of a head that all levels of a pyramid share."""
    return [(source, level, None) for level in range(count)]


CASES = {
    # name: config, what is read, share of the pass up to the last record
    'RetinaNet, boxes': (RETINA, levels('bbox_head.retina_reg'), 0.65),
    'RetinaNet, classes': (RETINA, levels('bbox_head.retina_cls'), 0.79),
    'RetinaNet, P5 to P7': (RETINA, [('neck', 0, i) for i in (2, 3, 4)], 0.86),
    'RetinaNet, P3 to P7': (RETINA, [('neck', 0, i) for i in range(5)], 1.0),
    'Faster R-CNN, RPN boxes': (FASTER, levels('rpn_head.rpn_reg'), 1.0),
    'Faster R-CNN, P2 to P6': (
        FASTER,
        [('neck', 0, i) for i in range(5)],
        1.0,
    ),
    'Mask R-CNN, masks': (
        MASK,
        levels('roi_head.mask_head.conv_logits', 1),
        0.83,
    ),
    'Mask R-CNN, P2 to P6': (MASK, [('neck', 0, i) for i in range(5)], 1.0),
    'GFL, boxes': (GFL, levels('bbox_head.gfl_reg'), 0.75),
    'GFL, classes': (GFL, levels('bbox_head.gfl_cls'), 0.75),
    'DeepLabV3, classes': (DEEPLAB, levels('decode_head.conv_seg', 1), 1.0),
    'DeepLabV3, auxiliary': (
        DEEPLAB,
        levels('auxiliary_head.conv_seg', 1),
        0.18,
    ),
    'DeepLabV3, stage 3': (DEEPLAB, [('backbone', 0, 2)], 0.4),
}


def distiller_of(reads):
    names = {source: source.replace('.', '_') for source, _, _ in reads}
    return ConfigurableDistiller(
        teacher_recorders={
            name: dict(type='ModuleOutputs', source=source)
            for source, name in names.items()
        },
        student_recorders=dict(s=dict(type='ModuleOutputs', source='x')),
        distill_losses={
            f'loss_{i}': dict(type='mmrazor.L2Loss') for i in range(len(reads))
        },
        loss_forward_mappings={
            f'loss_{i}': dict(
                s_feature=dict(recorder='s', from_student=True),
                t_feature=dict(
                    recorder=names[source],
                    from_student=False,
                    record_idx=index,
                    data_idx=element,
                ),
            )
            for i, (source, index, element) in enumerate(reads)
        },
    )


def labelled(name, height, width):
    shape = dict(img_shape=(height, width), pad_shape=(height, width))
    if name is DEEPLAB:
        sample = SegDataSample(metainfo=shape)
        truth = torch.randint(19, (1, height, width))
        sample.gt_sem_seg = PixelData(data=truth)
        return sample
    return DetDataSample(
        metainfo=dict(
            shape,
            ori_shape=(height, width),
            batch_input_shape=(height, width),
            scale_factor=(1.0, 1.0),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
@torch.no_grad()
def test_the_same_values_for_less(case):
    name, reads, share = CASES[case]
    torch.manual_seed(0)
    teacher = stock(name).eval()
    distiller = distiller_of(reads)
    distiller.prepare_from_teacher(teacher)
    samples = [labelled(name, *SIZE)]
    counted, values = {}, {}
    for skip in (False, True):
        early = EarlyExit(teacher, distiller, skip)
        for seed in range(2):  # the first one learns
            x = torch.randn(
                1, 3, *SIZE, generator=torch.Generator().manual_seed(seed)
            )
            with (
                FlopCounterMode(display=False) as counter,
                distiller.teacher_recorders,
            ):
                early.run(teacher, x, samples)
            counted[skip] = counter.get_total_flops() / 2e9
            values[skip, seed] = early._values()
    for seed in range(2):
        for one, other in zip(values[False, seed], values[True, seed]):
            assert torch.equal(one, other)
    before, after = counted.values()
    print(
        f'\n| {case} | {before:.2f} | {after:.2f} | {after / before:.2f} |',
        end=' ',
    )
    assert after <= share * before
