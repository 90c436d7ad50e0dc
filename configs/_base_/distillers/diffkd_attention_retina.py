# Copyright (c) mmdiffkd contributors.
# `diffkd_retina` with the distance weighted by the teacher's
# attention, the dagger variant of the paper's tables.
_base_ = './diffkd_retina.py'

distiller = dict(
    distill_losses={
        f'loss_kd_p{p}': dict(
            _delete_=True, type='mmdiffkd.AttentionMSELoss', loss_weight=5.0
        )
        for p in range(3, 8)
    }
)
