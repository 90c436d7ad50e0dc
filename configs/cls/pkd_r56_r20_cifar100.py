# Copyright (c) mmdiffkd contributors.
# Teacher 72.34, student alone 69.06 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
# PKD on the last map. No row of a paper.
_base_ = ['baselines/resnet20_cifar100.py', '../_base_/distillers/mse_cls.py']
_base_.distiller.pairs.mse.connector.update(in_channel=64, out_channel=64)
# Its weight has not been searched.
_base_.distiller.pairs.mse.loss_name = 'loss_pkd'
_base_.distiller.pairs.mse.loss = dict(type='mmrazor.PKDLoss', loss_weight=1.0)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet56_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet56.pth',
    distiller=_base_.distiller,
)
