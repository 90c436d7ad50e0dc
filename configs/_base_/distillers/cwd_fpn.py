# Copyright (c) mmdiffkd contributors.
# Channel-wise distillation (CWD) of the pyramid, P3 to P7.
# For two stages: cwd_fpn_p2_p6.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# `data_idx` counts the neck's outputs from 0, hence p - 3.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    # Temperature and weight of MMRazor's configs for an FPN.
    distill_losses={
        f'loss_cwd_p{p}': dict(
            type='mmrazor.ChannelWiseDivergence', tau=1.0, loss_weight=10.0
        )
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_cwd_p{p}': dict(
            preds_S=dict(recorder='fpn', from_student=True, data_idx=p - 3),
            preds_T=dict(recorder='fpn', from_student=False, data_idx=p - 3),
        )
        for p in range(3, 8)
    },
)
