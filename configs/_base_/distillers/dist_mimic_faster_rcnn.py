# Copyright (c) mmdiffkd contributors.
# DIST on the classification of Faster R-CNN, see dist_faster_rcnn, and
# mimicking of the pyramid, P2 to P6.
_base_ = './mimic_fpn_p2_p6.py'

distiller = dict(
    # The teacher's RoI head, of a cascade its first stage, is run on the
    # RoIs that the student has sampled.
    student_rois=True,
    student_recorders=dict(
        cls=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_cls')
    ),
    teacher_recorders=dict(
        cls=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_cls')
    ),
    distill_losses={
        'loss_dist': dict(type='mmdiffkd.DISTLoss', loss_weight=1.0),
        **{f'loss_mimic_p{p}': dict(loss_weight=1.0) for p in range(2, 7)},
    },
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='cls', from_student=True),
            logits_T=dict(recorder='cls', from_student=False),
        )
    ),
)
