# Copyright (c) mmdiffkd contributors.
# The teacher: ResNet-20, trained on the same images.
_base_ = './cifar16_resnet8.py'

model = dict(
    backbone=dict(depth=20, channels=(16, 16, 32, 64)),
    head=dict(in_channels=64),
)
