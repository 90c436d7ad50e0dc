# Copyright (c) mmdiffkd contributors.
# The student alone: a quarter of ResNet-18's width. Nothing of mmdiffkd is in
# it, so stock MMDetection builds, trains and loads it.
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    './_base_/digits_det.py',
]

model = dict(
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        frozen_stages=-1,  # from scratch: nothing to freeze
        norm_eval=False,
        init_cfg=None,
    ),
    # P3 to P5 cover digits of 19 to 72 pixels; P6 and P7 would stay empty.
    neck=dict(
        in_channels=[16, 32, 64, 128],
        out_channels=64,
        add_extra_convs=False,
        num_outs=3,
        # From scratch, neck and head learn several times faster with norms.
        norm_cfg=dict(type='BN'),
    ),
    bbox_head=dict(
        num_classes=10,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        norm_cfg=dict(type='BN'),
        anchor_generator=dict(octave_base_scale=3, strides=[8, 16, 32]),
    ),
)
