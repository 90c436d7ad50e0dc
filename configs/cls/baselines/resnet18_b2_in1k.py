# Copyright (c) mmdiffkd contributors.
# ResNet-18 alone: 73.4 top-1 in DIST's paper.
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    '../../_base_/schedules/b2_imagenet.py',
]

model = dict(
    head=dict(
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)
    )
)
