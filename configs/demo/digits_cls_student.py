# Copyright (c) mmdiffkd contributors.
# The student alone: an eighth of ResNet-18's width. Nothing of mmdiffkd is in
# it, so stock MMPretrain builds, trains and loads it.
_base_ = [
    'mmpretrain::_base_/models/resnet18_cifar.py',
    './_base_/digits_cls.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    # Images of 32 pixels become maps of 16, 8, 4 and 4.
    backbone=dict(
        base_channels=8,
        stem_channels=8,
        strides=(2, 2, 2, 1),
        zero_init_residual=False,
    ),  # learns several times faster here
    head=dict(num_classes=10, in_channels=64),
)
