# Copyright (c) mmdiffkd contributors.
# DiffKD with the attention-weighted distance (the paper's dagger variant).
_base_ = './bccd_diffkd.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(
                loss=dict(
                    _delete_=True,
                    type='mmdiffkd.AttentionMSELoss',
                    loss_weight=5.0,
                )
            )
        )
    )
)
