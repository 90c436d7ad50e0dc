# Copyright (c) mmdiffkd contributors.
# CWD: divergence of each class's distribution over the pixels of a predicted
# map. Temperature and weight are MMRazor's for Cityscapes.
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
        loss_cwd=dict(
            type='mmrazor.ChannelWiseDivergence', tau=1, loss_weight=5.0
        )
    ),
    loss_forward_mappings=dict(
        loss_cwd=dict(
            preds_S=dict(recorder='logits', from_student=True),
            preds_T=dict(recorder='logits', from_student=False),
        )
    ),
)
