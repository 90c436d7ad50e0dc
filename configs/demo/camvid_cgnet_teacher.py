# Copyright (c) mmdiffkd contributors.
# The teacher: CGNet M3N21, whose authors publish weights trained on CamVid's
# train and val images (so test alone can tell how good it is). CGNET_CAMVID
# names the file, with keys as MMSegmentation has them.
_base_ = ['mmseg::_base_/models/cgnet.py', './_base_/camvid_seg.py']

model = dict(
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{$CGNET_CAMVID:weights/cgnet_camvid_mmseg.pth}}',
    ),
    data_preprocessor=dict(
        mean=[105.658, 103.330, 99.626], std=[1, 1, 1], size=_base_.crop_size
    ),
    backbone=dict(norm_cfg=dict(type='BN')),
    decode_head=dict(
        num_classes=11,
        norm_cfg=dict(type='BN'),
        loss_decode=dict(class_weight=None),
    ),
)
