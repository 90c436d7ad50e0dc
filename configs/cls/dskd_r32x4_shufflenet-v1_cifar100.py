# Copyright (c) mmdiffkd contributors.
# Teacher 79.42, student alone 70.5 in DiffKD's paper.
# 1 GPU x 64 images, 240 epochs (A1).
# The student's map is 4x4, the teacher's 8x8.
_base_ = [
    'baselines/shufflenet-v1_cifar100.py',
    '../_base_/distillers/dskd_cls.py',
]
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=960, teacher_channels=256, resize='bilinear'
)
_base_.distiller.pairs.dskd_feature.loss.update(channels=256)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet32x4_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet32x4.pth',
    distiller=_base_.distiller,
)
