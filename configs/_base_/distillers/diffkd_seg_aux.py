# Copyright (c) mmdiffkd contributors.
# `diffkd_seg`, and 0.4 times plain DIST from the teacher's predicted map to
# the student's auxiliary one; the teacher needs no auxiliary head.
_base_ = './diffkd_seg.py'

distiller = dict(
    student_recorders=dict(
        aux_logits=dict(type='ModuleOutputs', source='auxiliary_head.conv_seg')
    ),
    distill_losses=dict(
        loss_dist_aux=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=0.4)
    ),
    loss_forward_mappings=dict(
        loss_dist_aux=dict(
            logits_S=dict(recorder='aux_logits', from_student=True),
            logits_T=dict(recorder='logits', from_student=False),
        )
    ),
)
