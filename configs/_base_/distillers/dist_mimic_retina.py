# Copyright (c) mmdiffkd contributors.
# DIST on the classification of RetinaNet, see dist_retina, and mimicking of
# the pyramid, P3 to P7.
_base_ = './mimic_fpn.py'

# One head is shared by all levels: one record a level, P3 first.
distiller = dict(
    student_recorders=dict(
        cls=dict(type='ModuleOutputs', source='bbox_head.retina_cls')
    ),
    teacher_recorders=dict(
        cls=dict(type='ModuleOutputs', source='bbox_head.retina_cls')
    ),
    distill_losses={
        **{
            f'loss_dist_p{p}': dict(
                type='mmdiffkd.DISTLoss', activation='sigmoid', loss_weight=1.0
            )
            for p in range(3, 8)
        },
        **{f'loss_mimic_p{p}': dict(loss_weight=1.0) for p in range(3, 8)},
    },
    loss_forward_mappings={
        f'loss_dist_p{p}': dict(
            logits_S=dict(recorder='cls', from_student=True, record_idx=p - 3),
            logits_T=dict(
                recorder='cls', from_student=False, record_idx=p - 3
            ),
        )
        for p in range(3, 8)
    },
)
