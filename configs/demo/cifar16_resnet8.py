# Copyright (c) mmdiffkd contributors.
# The student alone: ResNet-8 of half width.
_base_ = './_base_/cifar16_cls.py'

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(
        type='mmdiffkd.CIFARResNet',
        depth=8,
        channels=(8, 8, 16, 32),
        shortcut='A',
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=32,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1,),
    ),
)
