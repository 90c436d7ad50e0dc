# Copyright (c) mmdiffkd contributors.
# DiffKD with the attention-weighted distance (dagger in the paper).
# Teacher AP 40.8; student alone 38.5. 8 GPUs x 2 images = 16, 24 epochs (2x).
# Both are Caffe models (BGR, no division by a standard deviation).
_base_ = [
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco.py',
    '../_base_/distillers/diffkd_fpn.py',
]
_base_.distiller.pairs.kd.loss = dict(
    type='mmdiffkd.AttentionMSELoss', loss_weight=5.0
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmdet::fcos/fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/fcos/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth',
    distiller=_base_.distiller,
)
