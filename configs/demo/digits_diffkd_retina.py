# Copyright (c) mmdiffkd contributors.
# The student of digits_retina_student.py, distilled with DiffKD on P3 to P5.
_base_ = './digits_retina_student.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/digits_retina_teacher.py'),
    # Train it with digits_retina_teacher.py, or let tools/quickstart.sh do so.
    teacher_ckpt='work_dirs/digits_retina_teacher/epoch_6.pth',
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(
                source='neck',
                recorder_name='fpn',
                levels=['p3', 'p4', 'p5'],
                connector_name='diff',
                connector=dict(
                    type='mmdiffkd.DiffKDConnector',
                    student_channels=64,
                    teacher_channels=64,
                ),
                loss=dict(
                    type='mmrazor.L2Loss',
                    normalize=False,
                    div_element=True,
                    loss_weight=5.0,
                ),
            )
        ),
    ),
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
