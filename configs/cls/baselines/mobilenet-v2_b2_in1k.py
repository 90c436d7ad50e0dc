# Copyright (c) mmdiffkd contributors.
# MobileNetV2 alone: 73.6 top-1 in the paper.
_base_ = [
    'mmpretrain::_base_/models/mobilenet_v2_1x.py',
    '../../_base_/schedules/b2_imagenet.py',
]

model = dict(
    head=dict(
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)
    )
)
