# Copyright (c) mmdiffkd contributors.
# KD: Kullback-Leibler divergence of the predicted maps, mean over the pixels.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd=dict(
            source='decode_head.conv_seg',
            recorder_name='logits',
            loss=dict(type='mmdiffkd.KLDivergence', tau=1.0, loss_weight=1.0),
        )
    ),
)
