# Copyright (c) mmdiffkd contributors.
# MobileNetV1 alone: 70.13 top-1 in the paper.
_base_ = '../../_base_/schedules/b1_imagenet.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdiffkd.MobileNetV1'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1024,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
