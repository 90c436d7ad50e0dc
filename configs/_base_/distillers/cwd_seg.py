# Copyright (c) mmdiffkd contributors.
# CWD: divergence of each class's distribution over the pixels of a predicted
# map. Temperature and weight are MMRazor's for Cityscapes.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        cwd=dict(
            source='decode_head.conv_seg',
            recorder_name='logits',
            loss=dict(
                type='mmrazor.ChannelWiseDivergence', tau=1, loss_weight=5.0
            ),
        )
    ),
)
