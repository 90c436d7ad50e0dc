# Copyright (c) mmdiffkd contributors.
# The recipe for RetinaNet: DiffKD on the pyramid, P3 to P7, and the L1
# distance of the box regression. Without the latter: diffkd_fpn.
_base_ = './diffkd_fpn.py'

# One head is shared by all levels: one record a level, P3 first.
distiller = dict(
    student_recorders=dict(
        reg=dict(type='ModuleOutputs', source='bbox_head.retina_reg')
    ),
    teacher_recorders=dict(
        reg=dict(type='ModuleOutputs', source='bbox_head.retina_reg')
    ),
    distill_losses={
        f'loss_reg_p{p}': dict(
            type='mmdiffkd.BoxRegressionLoss', beta=0.0, loss_weight=1.0
        )
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_reg_p{p}': dict(
            preds_S=dict(recorder='reg', from_student=True, record_idx=p - 3),
            preds_T=dict(recorder='reg', from_student=False, record_idx=p - 3),
        )
        for p in range(3, 8)
    },
)
