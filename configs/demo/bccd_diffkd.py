# Copyright (c) mmdiffkd contributors.
# DiffKD on P3 to P7. Until the diffusion model has learned, a quarter of the
# run, its gradient disturbs the student's more than it helps.
_base_ = './_base_/bccd_distill.py'

levels = ['p3', 'p4', 'p5', 'p6', 'p7']
model = dict(
    distiller=dict(
        connectors={
            f'diff_{p}': dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=64,
                teacher_channels=64,
                kd_warmup_iters=50,
            )
            for p in levels
        },
        connector_forward_mappings={
            f'diff_{p}': dict(
                s_feature=dict(recorder='fpn', from_student=True, data_idx=i),
                t_feature=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i, p in enumerate(levels)
        },
        distill_losses={
            f'loss_kd_{p}': dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5.0,
            )
            for p in levels
        },
        loss_forward_mappings={
            f'loss_kd_{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, connector=f'diff_{p}'
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, connector=f'diff_{p}'
                ),
            )
            for p in levels
        },
    )
)
