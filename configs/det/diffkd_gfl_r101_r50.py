# Copyright (c) mmdiffkd contributors.
# Written by `mmdiffkd make-config`.
# Teacher AP 44.7; student alone 40.2. 8 GPUs x 2 images = 16, 12 epochs (1x).
_base_ = [
    'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    '../_base_/distillers/diffkd_fpn.py',
]

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/gfl/gfl_r101_fpn_mstrain_2x_coco/gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth',
    distiller=_base_.distiller,
)
