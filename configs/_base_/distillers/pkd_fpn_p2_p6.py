# Copyright (c) mmdiffkd contributors.
# Correlation of features (PKD) on the pyramid, P2 to P5.
# For one stage: pkd_fpn.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# `data_idx` counts the neck's outputs from 0, hence p - 2.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    # Levels and weight of MMRazor's config for Faster R-CNN.
    distill_losses={
        f'loss_pkd_p{p}': dict(type='mmrazor.PKDLoss', loss_weight=6.0)
        for p in range(2, 6)
    },
    loss_forward_mappings={
        f'loss_pkd_p{p}': dict(
            preds_S=dict(recorder='fpn', from_student=True, data_idx=p - 2),
            preds_T=dict(recorder='fpn', from_student=False, data_idx=p - 2),
        )
        for p in range(2, 6)
    },
)
