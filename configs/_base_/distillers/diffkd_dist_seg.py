# Copyright (c) mmdiffkd contributors.
# DiffKD on the backbone's last map, DIST on the predicted maps themselves.
_base_ = './diffkd_features_seg.py'

distiller = dict(
    pairs=dict(
        dist=dict(
            source='decode_head.conv_seg',
            recorder_name='logits',
            loss=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0),
        )
    )
)
