# Copyright (c) mmdiffkd contributors.
# DiffKD with the attention-weighted distance (dagger in the paper).
# Teacher AP 39.8; student alone 38.4. 8 GPUs x 2 images = 16, 24 epochs (2x).
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py',
    '../_base_/distillers/diffkd_faster_rcnn.py',
]
_base_.distiller.pairs.kd.loss = dict(
    type='mmdiffkd.AttentionMSELoss', loss_weight=5.0
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmdet::faster_rcnn/faster-rcnn_r101_fpn_2x_coco.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/faster_rcnn_r101_fpn_2x_coco/faster_rcnn_r101_fpn_2x_coco_bbox_mAP-0.398_20200504_210455-1d2dac9c.pth',
    distiller=_base_.distiller,
)
