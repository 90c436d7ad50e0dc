# Copyright (c) mmdiffkd contributors.
# The recipe for RetinaNet: DiffKD on the pyramid, P3 to P7, and the L1
# distance of the box regression.
_base_ = './diffkd_fpn.py'

distiller = dict(
    pairs=dict(
        reg=dict(
            source='bbox_head.retina_reg',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            index='record_idx',  # one head for all levels, called for each
            loss=dict(
                type='mmdiffkd.BoxRegressionLoss', beta=0.0, loss_weight=1.0
            ),
        )
    )
)
