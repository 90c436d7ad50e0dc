# Copyright (c) mmdiffkd contributors.
# `dist_seg`, and 0.4 times the same on the auxiliary heads, as in the code of
# DIST's authors. Both models must have one: a teacher of MMSegmentation does.
_base_ = './dist_seg.py'

distiller = dict(
    pairs=dict(
        dist_aux=dict(
            source='auxiliary_head.conv_seg',
            recorder_name='aux_logits',
            loss=dict(
                type='mmdiffkd.DISTLoss',
                inter_loss_weight=1.0,
                intra_loss_weight=1.0,
                tau=1.0,
                loss_weight=0.4,
            ),
        )
    )
)
