# Copyright (c) mmdiffkd contributors.
# Teacher 72.34, student alone 69.06 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
# DIST on the logits, and mimicking. No row of a paper.
_base_ = [
    'baselines/resnet20_cifar100.py',
    '../_base_/distillers/mse_cls.py',
]
_base_.distiller.pairs.mse.connector.update(in_channel=64, out_channel=64)
# As in dist_cls.py, with the tau of CIFAR-100. No paper has these weights.
_base_.distiller.pairs.dist = dict(
    source='head',
    recorder_name='logits',
    loss=dict(
        type='mmdiffkd.DISTLoss',
        inter_loss_weight=2.0,
        intra_loss_weight=2.0,
        tau=4.0,
    ),
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet56_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet56.pth',
    distiller=_base_.distiller,
)
