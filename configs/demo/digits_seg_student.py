# Copyright (c) mmdiffkd contributors.
# The student alone: a quarter of ResNet-18's width. Nothing of mmdiffkd is in
# it, so stock MMSegmentation builds, trains and loads it.
_base_ = ['mmseg::_base_/models/fpn_r50.py', './_base_/digits_seg.py']

norm_cfg = dict(type='BN', requires_grad=True)  # SyncBN needs a GPU
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    pretrained=None,
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        zero_init_residual=False,  # learns several times faster here
        norm_cfg=norm_cfg,
    ),
    neck=dict(
        in_channels=[16, 32, 64, 128], out_channels=32, norm_cfg=norm_cfg
    ),
    decode_head=dict(
        in_channels=[32, 32, 32, 32],
        channels=32,
        num_classes=11,
        norm_cfg=norm_cfg,
    ),
)
