# Copyright (c) mmdiffkd contributors.
# ResNet-18 alone: 69.76 top-1 in the paper.
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    '../../_base_/schedules/b1_imagenet.py',
]
