# Copyright (c) mmdiffkd contributors.
# DiffKD with the attention-weighted distance (dagger in the paper).
# Teacher AP 44.2; student alone 38.6. 8 GPUs x 2 images = 16, 24 epochs (2x).
_base_ = [
    'mmdet::reppoints/reppoints-moment_r50_fpn-gn_head-gn_2x_coco.py',
    '../_base_/distillers/diffkd_reppoints.py',
]
_base_.distiller.pairs.kd.loss = dict(
    type='mmdiffkd.AttentionMSELoss', loss_weight=15.0
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmdet::reppoints/reppoints-moment_x101-dconv-c3-c5_fpn-gn_head-gn_2x_coco.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/reppoints/reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco/reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco_20200329-f87da1ea.pth',
    distiller=_base_.distiller,
)
