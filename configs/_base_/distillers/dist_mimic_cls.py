# Copyright (c) mmdiffkd contributors.
# DIST on the logits, see dist_cls, and mimicking of the last feature map
# before pooling, see mse_cls. No paper has this pair of weights.
_base_ = './mse_cls.py'

distiller = dict(
    student_recorders=dict(logits=dict(type='ModuleOutputs', source='head')),
    teacher_recorders=dict(logits=dict(type='ModuleOutputs', source='head')),
    distill_losses=dict(
        loss_dist=dict(
            type='mmdiffkd.DISTLoss',
            inter_loss_weight=2.0,
            intra_loss_weight=2.0,
            tau=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='logits', from_student=True),
            logits_T=dict(recorder='logits', from_student=False),
        )
    ),
)
