# Copyright (c) mmdiffkd contributors.
# DIST on the classification.
# Teacher AP 45.6; student alone 38.4. 8 GPUs x 2 images = 16, 24 epochs (2x).
# Of the teacher's heads, the first box head of the cascade alone is run.
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_2x_coco.py',
    '../_base_/distillers/dist_mimic_faster_rcnn.py',
]
_base_.distiller.pairs.mimic = None

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmdet::cascade_rcnn/cascade-mask-rcnn_x101-64x4d_fpn_20e_coco.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/cascade_rcnn/cascade_mask_rcnn_x101_64x4d_fpn_20e_coco/cascade_mask_rcnn_x101_64x4d_fpn_20e_coco_20200512_161033-bdb5126a.pth',
    distiller=_base_.distiller,
)
