# Copyright (c) mmdiffkd contributors.
# What all distillation runs on CIFAR-10 share: student, teacher, budget. The
# environment variable CIFAR10_TEACHER may name the teacher's weights.
_base_ = '../cifar10_resnet20.py'

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/cifar10_resnet56.py'),
    teacher_ckpt='{{$CIFAR10_TEACHER:work_dirs/cifar10_resnet56.pth}}',
)

# Learning rate of the connectors, as a multiple of the student's.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=1.0)})
)
