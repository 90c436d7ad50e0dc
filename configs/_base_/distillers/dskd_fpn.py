# Copyright (c) mmdiffkd contributors.
# DSKD on the five levels P3 to P7 of a feature pyramid with 256 channels. The
# head is RetinaNet's: its classification tower, shared by the levels, scores
# each position. What is the paper's and what ours: docs/en/dskd.md.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# `data_idx` counts the neck's outputs from 0, hence p - 3.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    connectors={
        f'dskd_p{p}': dict(
            type='mmdiffkd.DSKDConnector',
            student_channels=256,
            teacher_channels=256,
            guidance=dict(
                head=['bbox_head.cls_convs', 'bbox_head.retina_cls'],
                activation='sigmoid',
                scale=0.5,
            ),
            diffusion_loss_weight=1.0,
        )
        for p in range(3, 8)
    },
    connector_forward_mappings={
        f'dskd_p{p}': dict(
            s_feature=dict(recorder='fpn', from_student=True, data_idx=p - 3),
            t_feature=dict(recorder='fpn', from_student=False, data_idx=p - 3),
        )
        for p in range(3, 8)
    },
    distill_losses={
        f'loss_dskd_p{p}': dict(
            type='mmdiffkd.LSHFeatureLoss',
            channels=256,  # of the teacher
            num_hashes=4096,
            mse_weight=1.0,
            hash_weight=1.0,
            loss_weight=1.0,
        )
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_dskd_p{p}': dict(
            s_feature=dict(
                recorder='fpn', from_student=True, connector=f'dskd_p{p}'
            ),
            t_feature=dict(
                recorder='fpn', from_student=False, connector=f'dskd_p{p}'
            ),
        )
        for p in range(3, 8)
    },
)
