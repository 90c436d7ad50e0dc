# Copyright (c) mmdiffkd contributors.
# The teacher: MobileNetV2 with ImageNet weights. Any checkpoint with the keys
# of MMPretrain's MobileNetV2 will do.
_base_ = './bccd_retina_student.py'

model = dict(
    backbone=dict(
        widen_factor=1.0,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='{{$MOBILENET_V2:weights/mobilenet_v2.pth}}',
        ),
    ),
    neck=dict(in_channels=[32, 96, 320]),
)
