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
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        connectors={
            f'diff_p{p}': dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=64,
                teacher_channels=64,
            )
            for p in range(3, 6)
        },
        connector_forward_mappings={
            f'diff_p{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, data_idx=p - 3
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, data_idx=p - 3
                ),
            )
            for p in range(3, 6)
        },
        distill_losses={
            f'loss_kd_p{p}': dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5.0,
            )
            for p in range(3, 6)
        },
        loss_forward_mappings={
            f'loss_kd_p{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, connector=f'diff_p{p}'
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, connector=f'diff_p{p}'
                ),
            )
            for p in range(3, 6)
        },
    ),
)

# The connectors start from scratch and have little time.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'distiller': dict(lr_mult=5.0)})
)
