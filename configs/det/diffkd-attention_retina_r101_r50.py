# Copyright (c) mmdiffkd contributors.
# DiffKD with the attention-weighted distance (dagger in the paper).
# Teacher AP 38.9; student alone 37.4. 8 GPUs x 2 images = 16, 24 epochs (2x).
_base_ = [
    'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py',
    '../_base_/distillers/diffkd_retina.py',
]
_base_.distiller.pairs.kd.loss = dict(
    type='mmdiffkd.AttentionMSELoss', loss_weight=5.0
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r101_fpn_2x_coco/retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth',
    distiller=_base_.distiller,
)
