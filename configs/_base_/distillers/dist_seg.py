# Copyright (c) mmdiffkd contributors.
# DIST on the predicted maps; every pixel is an instance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    teacher_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    distill_losses=dict(
        loss_dist=dict(
            type='mmdiffkd.DISTLoss',
            inter_loss_weight=1.0,
            intra_loss_weight=1.0,
            tau=1.0,
            loss_weight=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='logits', from_student=True),
            logits_T=dict(recorder='logits', from_student=False),
        )
    ),
)
