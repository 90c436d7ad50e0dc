# Copyright (c) mmdiffkd contributors.
# Teacher 75.61, student alone 71.98 in DiffKD's paper.
# 1 GPU x 64 images, 240 epochs (A1).
_base_ = [
    'baselines/wrn40-1_cifar100.py',
    '../_base_/distillers/dskd_cls.py',
]
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=64, teacher_channels=128
)
_base_.distiller.pairs.dskd_feature.loss.update(channels=128)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/wrn40-2_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_wrn_40_2.pth',
    distiller=_base_.distiller,
)
