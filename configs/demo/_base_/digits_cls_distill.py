# Copyright (c) mmdiffkd contributors.
# What the distilled classifiers of the demo share: student, teacher, data.
_base_ = '../digits_cls_student.py'

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/digits_cls_teacher.py'),
    # Train it with digits_cls_teacher.py, or let tools/quickstart.sh do so.
    teacher_ckpt='work_dirs/digits_cls_teacher/epoch_12.pth',
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
