# Copyright (c) mmdiffkd contributors.
# What all distillation runs on BCCD share: student, teacher, recorders.
_base_ = '../bccd_retina_student.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/bccd_retina_teacher.py'),
    teacher_ckpt='work_dirs/bccd_retina_teacher/epoch_8.pth',
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    ),
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
