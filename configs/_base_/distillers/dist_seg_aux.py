# Copyright (c) mmdiffkd contributors.
# `dist_seg`, and 0.4 times the same on the auxiliary heads, as in the code of
# DIST's authors. Both models must have one: a teacher of MMSegmentation does.
_base_ = './dist_seg.py'

distiller = dict(
    student_recorders=dict(
        aux_logits=dict(type='ModuleOutputs', source='auxiliary_head.conv_seg')
    ),
    teacher_recorders=dict(
        aux_logits=dict(type='ModuleOutputs', source='auxiliary_head.conv_seg')
    ),
    distill_losses=dict(
        loss_dist_aux=dict(
            type='mmdiffkd.DISTLoss',
            inter_loss_weight=1.0,
            intra_loss_weight=1.0,
            tau=1.0,
            loss_weight=0.4,
        )
    ),
    loss_forward_mappings=dict(
        loss_dist_aux=dict(
            logits_S=dict(recorder='aux_logits', from_student=True),
            logits_T=dict(recorder='aux_logits', from_student=False),
        )
    ),
)
