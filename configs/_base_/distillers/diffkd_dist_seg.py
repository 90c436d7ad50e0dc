# Copyright (c) mmdiffkd contributors.
# DiffKD on the backbone's last map, DIST on the predicted maps themselves.
_base_ = './diffkd_features_seg.py'

distiller = dict(
    student_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    teacher_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    distill_losses=dict(
        loss_dist=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0)
    ),
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='logits', from_student=True),
            logits_T=dict(recorder='logits', from_student=False),
        )
    ),
)
