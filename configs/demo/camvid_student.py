# Copyright (c) mmdiffkd contributors.
# The student alone: MobileNetV2 with ImageNet weights, whose maps of strides
# 8, 16 and 32 are joined at stride 8, that of the teacher. Any checkpoint with
# the keys of MMPretrain's MobileNetV2 will do; MOBILENET_V2 names it.
_base_ = './_base_/camvid_seg.py'

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=_base_.crop_size,
    ),
    backbone=dict(
        type='MobileNetV2',
        out_indices=(2, 4, 6),
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='{{$MOBILENET_V2:weights/mobilenet_v2.pth}}',
        ),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=[32, 96, 320],
        in_index=[0, 1, 2],
        input_transform='resize_concat',
        channels=64,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
