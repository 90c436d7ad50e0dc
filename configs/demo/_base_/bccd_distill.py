# Copyright (c) mmdiffkd contributors.
# What all distillation runs on BCCD share: student, teacher, budget. A second
# base in `configs/_base_/distillers` names the method.
_base_ = '../bccd_retina_student.py'

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/bccd_retina_teacher.py'),
    teacher_ckpt='work_dirs/bccd_retina_teacher/epoch_8.pth',
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
