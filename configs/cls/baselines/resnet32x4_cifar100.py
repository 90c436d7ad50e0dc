# Copyright (c) mmdiffkd contributors.
# ResNet-32x4 alone on CIFAR-100: 79.42 top-1 in the paper.
_base_ = '../../_base_/schedules/a1_cifar100.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmdiffkd.CIFARResNet', depth=32, channels=(32, 64, 128, 256)
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=256,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
