# Copyright (c) mmdiffkd contributors.
# What all distillation runs on CIFAR-10 at 16 x 16 share: student and teacher.
# CIFAR16_TEACHER may name the teacher's weights.
_base_ = '../cifar16_resnet8.py'

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/cifar16_resnet20.py'),
    teacher_ckpt='{{$CIFAR16_TEACHER:work_dirs/cifar16_resnet20/epoch_20.pth}}',
)

# Learning rate of the connectors, as a multiple of the student's.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=1.0)})
)
