# Copyright (c) mmdiffkd contributors.
# What the distilled segmentors of the demo share: student, teacher, data.
_base_ = '../digits_seg_student.py'

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/digits_seg_teacher.py'),
    # Train it with digits_seg_teacher.py, or let tools/quickstart.sh do so.
    teacher_ckpt='work_dirs/digits_seg_teacher/iter_800.pth',
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
