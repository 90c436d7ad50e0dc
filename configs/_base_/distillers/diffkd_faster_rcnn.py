# Copyright (c) mmdiffkd contributors.
# The recipe for Faster R-CNN: DiffKD on the pyramid, P2 to P6, and the smooth
# L1 distance of the box regression.
_base_ = './diffkd_fpn.py'

distiller = dict(
    # The teacher's RoI head, of a cascade its first stage, is run on the
    # RoIs that the student has sampled.
    student_rois=True,
    pairs=dict(
        kd=dict(outputs=['p2', 'p3', 'p4', 'p5', 'p6']),
        reg=dict(
            source='roi_head.bbox_head.fc_reg',
            loss=dict(
                type='mmdiffkd.BoxRegressionLoss', beta=1.0, loss_weight=1.0
            ),
        ),
    ),
)
