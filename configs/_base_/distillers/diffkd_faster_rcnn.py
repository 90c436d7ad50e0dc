# Copyright (c) mmdiffkd contributors.
# The recipe for Faster R-CNN: DiffKD on the pyramid, P2 to P6, and the smooth
# L1 distance of the box regression. Without the latter: diffkd_fpn_p2_p6.
_base_ = './diffkd_fpn_p2_p6.py'

distiller = dict(
    # The teacher's RoI head, of a cascade its first stage, is run on the
    # RoIs that the student has sampled.
    student_rois=True,
    student_recorders=dict(
        reg=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_reg')
    ),
    teacher_recorders=dict(
        reg=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_reg')
    ),
    distill_losses=dict(
        loss_reg=dict(
            type='mmdiffkd.BoxRegressionLoss', beta=1.0, loss_weight=1.0
        )
    ),
    loss_forward_mappings=dict(
        loss_reg=dict(
            preds_S=dict(recorder='reg', from_student=True),
            preds_T=dict(recorder='reg', from_student=False),
        )
    ),
)
