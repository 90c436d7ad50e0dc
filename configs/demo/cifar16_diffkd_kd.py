# Copyright (c) mmdiffkd contributors.
# DiffKD on the feature before pooling, and Hinton's KD on the logits: no
# connector stands between the logits, as one does in cifar16_diffkd.
_base_ = './cifar16_diffkd.py'

model = dict(
    distiller=dict(
        pairs=dict(kd_logits=dict(connector=None, loss=dict(tau=4.0)))
    )
)
