# Copyright (c) mmdiffkd contributors.
# The student alone: MobileNetV2 of half width, from scratch.
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', './_base_/bccd_det.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.MobileNetV2',
        widen_factor=0.5,
        out_indices=(2, 4, 6),
    ),
    neck=dict(in_channels=[16, 48, 160], out_channels=64, start_level=0),
    bbox_head=dict(
        num_classes=3, in_channels=64, feat_channels=64, stacked_convs=2
    ),
)
