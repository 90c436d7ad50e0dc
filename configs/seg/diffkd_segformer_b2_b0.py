# Copyright (c) mmdiffkd contributors.
# Written by `mmdiffkd make-config`.
# Teacher mIoU 81.08; student alone 76.54. 8 GPUs x 1 crop, 160k iterations.
_base_ = [
    'mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
    '../_base_/distillers/diffkd_seg.py',
]

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmseg::segformer/segformer_mit-b2_8xb1-160k_cityscapes-1024x1024.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/segformer/segformer_mit-b2_8x1_1024x1024_160k_cityscapes/segformer_mit-b2_8x1_1024x1024_160k_cityscapes_20211207_134205-6096669a.pth',
    distiller=_base_.distiller,
)
