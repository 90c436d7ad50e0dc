# Copyright (c) mmdiffkd contributors.
# Channel-wise distillation (CWD) of the pyramid, P3 to P7.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        cwd=dict(
            source='neck',
            recorder_name='fpn',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            # Temperature and weight of MMRazor's configs for an FPN.
            loss=dict(
                type='mmrazor.ChannelWiseDivergence', tau=1.0, loss_weight=10.0
            ),
        )
    ),
)
