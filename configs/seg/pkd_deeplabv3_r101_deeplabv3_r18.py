# Copyright (c) mmdiffkd contributors.
# Teacher 80.2 (the paper has 78.07); PKD, to compare with.
# 8 GPUs x 2 crops = 16, 40k iterations.
_base_ = ['baselines/deeplabv3_r18.py', '../_base_/distillers/mse_seg.py']
# Its weight has not been searched.
_base_.distiller.pairs.mse.loss_name = 'loss_pkd'
_base_.distiller.pairs.mse.loss = dict(type='mmrazor.PKDLoss', loss_weight=1.0)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py'
    ),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/deeplabv3_r101-d8_512x1024_80k_cityscapes/deeplabv3_r101-d8_512x1024_80k_cityscapes_20200606_113503-9e428899.pth',
    distiller=_base_.distiller,
)
