# Copyright (c) mmdiffkd contributors.
# DIST on the classification of Faster R-CNN, every RoI an instance, and
# mimicking of the pyramid, P2 to P6. DIST alone: `pairs.mimic = None`.
_base_ = './mimic_fpn.py'

distiller = dict(
    # The teacher's RoI head, of a cascade its first stage, is run on the
    # RoIs that the student has sampled.
    student_rois=True,
    pairs=dict(
        mimic=dict(
            outputs=['p2', 'p3', 'p4', 'p5', 'p6'], loss=dict(loss_weight=1.0)
        ),
        dist=dict(
            source='roi_head.bbox_head.fc_cls',
            recorder_name='cls',
            loss=dict(type='mmdiffkd.DISTLoss', loss_weight=1.0),
        ),
    ),
)
