# Copyright (c) mmdiffkd contributors.
# DIST on the classification of RetinaNet, and mimicking of the pyramid, P3 to
# P7. Its classes are independent, hence the sigmoid. As DIST's authors do, all
# anchors of a position are one instance. DIST alone: `pairs.mimic = None`.
_base_ = './mimic_fpn.py'

distiller = dict(
    pairs=dict(
        mimic=dict(loss=dict(loss_weight=1.0)),
        dist=dict(
            source='bbox_head.retina_cls',
            recorder_name='cls',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            index='record_idx',  # one head for all levels, called for each
            loss=dict(
                type='mmdiffkd.DISTLoss', activation='sigmoid', loss_weight=1.0
            ),
        ),
    )
)
