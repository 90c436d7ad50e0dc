# Copyright (c) mmdiffkd contributors.
# ResNet-34 alone: 73.31 top-1, as a teacher in the papers.
_base_ = [
    'mmpretrain::_base_/models/resnet34.py',
    '../../_base_/schedules/b1_imagenet.py',
]
