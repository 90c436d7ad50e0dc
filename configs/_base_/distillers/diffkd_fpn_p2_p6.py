# Copyright (c) mmdiffkd contributors.
# DiffKD on the five levels P2 to P6 of a feature pyramid with 256 channels, as
# Faster R-CNN and Cascade R-CNN build it. For one stage: diffkd_fpn.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# `data_idx` counts the neck's outputs from 0, hence p - 2.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    connectors={
        f'diff_p{p}': dict(
            type='mmdiffkd.DiffKDConnector',
            student_channels=256,
            teacher_channels=256,
            diffusion_loss_weight=1.0,
        )  # lambda_1 of the paper
        for p in range(2, 7)
    },
    connector_forward_mappings={
        f'diff_p{p}': dict(
            s_feature=dict(recorder='fpn', from_student=True, data_idx=p - 2),
            t_feature=dict(recorder='fpn', from_student=False, data_idx=p - 2),
        )
        for p in range(2, 7)
    },
    # Mean squared error; the paper's weight for Faster R-CNN.
    distill_losses={
        f'loss_kd_p{p}': dict(
            type='mmrazor.L2Loss',
            normalize=False,
            div_element=True,
            loss_weight=5.0,
        )
        for p in range(2, 7)
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
        for p in range(2, 7)
    },
)
