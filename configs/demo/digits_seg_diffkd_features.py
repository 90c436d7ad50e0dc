# Copyright (c) mmdiffkd contributors.
# DiffKD on the four maps of the feature pyramid, without an autoencoder.
_base_ = './_base_/digits_seg_distill.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        connectors={
            f'diff_p{p}': dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=32,
                teacher_channels=72,
            )
            for p in range(2, 6)
        },
        connector_forward_mappings={
            f'diff_p{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, data_idx=p - 2
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, data_idx=p - 2
                ),
            )
            for p in range(2, 6)
        },
        distill_losses={
            f'loss_kd_p{p}': dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=1.0,
            )
            for p in range(2, 6)
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
            for p in range(2, 6)
        },
    )
)
