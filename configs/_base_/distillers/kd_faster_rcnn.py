# Copyright (c) mmdiffkd contributors.
# KD on the classification of Faster R-CNN: Kullback-Leibler divergence, mean
# over the student's RoIs, background included. Its weight has not been
# searched.
_base_ = './dist_faster_rcnn.py'

distiller = dict(
    distill_losses=dict(
        _delete_=True,
        loss_kd=dict(type='mmdiffkd.KLDivergence', tau=1.0, loss_weight=1.0),
    ),
    loss_forward_mappings=dict(
        _delete_=True,
        loss_kd=dict(
            preds_S=dict(recorder='cls', from_student=True),
            preds_T=dict(recorder='cls', from_student=False),
        ),
    ),
)
