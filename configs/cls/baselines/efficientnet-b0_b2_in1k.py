# Copyright (c) mmdiffkd contributors.
# EfficientNet-B0 alone: 78.0 top-1 in the paper.
_base_ = [
    'mmpretrain::_base_/models/efficientnet_b0.py',
    '../../_base_/schedules/b2_imagenet.py',
]

model = dict(
    head=dict(
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)
    )
)
