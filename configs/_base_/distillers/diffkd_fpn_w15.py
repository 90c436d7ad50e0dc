# Copyright (c) mmdiffkd contributors.
# `diffkd_fpn` with the weight that the paper gives to RepPoints.
_base_ = './diffkd_fpn.py'

distiller = dict(
    distill_losses={
        f'loss_kd_p{p}': dict(loss_weight=15.0) for p in range(3, 8)
    }
)
