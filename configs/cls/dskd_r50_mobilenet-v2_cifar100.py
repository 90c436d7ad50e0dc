# Copyright (c) mmdiffkd contributors.
# Teacher 79.34, student alone 64.6 in DiffKD's paper.
# 1 GPU x 64 images, 240 epochs (A1).
# The student's map is 2x2, the teacher's 4x4.
_base_ = [
    'baselines/mobilenet-v2_cifar100.py',
    '../_base_/distillers/dskd_cls.py',
]
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=1280, teacher_channels=2048, resize='bilinear'
)
_base_.distiller.pairs.dskd_feature.loss.update(channels=2048)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet50_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet50.pth',
    distiller=_base_.distiller,
)
