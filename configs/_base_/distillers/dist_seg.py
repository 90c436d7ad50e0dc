# Copyright (c) mmdiffkd contributors.
# DIST on the predicted maps; every pixel is an instance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dist=dict(
            source='decode_head.conv_seg',
            recorder_name='logits',
            loss=dict(
                type='mmdiffkd.DISTLoss',
                inter_loss_weight=1.0,
                intra_loss_weight=1.0,
                tau=1.0,
                loss_weight=1.0,
            ),
        )
    ),
)
