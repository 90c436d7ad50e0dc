# Copyright (c) mmdiffkd contributors.
# ResNet-50 alone: 78.5 top-1 in the paper.
_base_ = [
    'mmpretrain::_base_/models/resnet50.py',
    '../../_base_/schedules/b2_imagenet.py',
]

model = dict(
    head=dict(
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)
    )
)
