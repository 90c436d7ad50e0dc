# Copyright (c) mmdiffkd contributors.
# Hinton's distillation: Kullback-Leibler divergence of the logits, tau = 4.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd=dict(
            source='head',
            recorder_name='logits',
            loss=dict(type='mmdiffkd.KLDivergence', tau=4.0, loss_weight=1.0),
        )
    ),
)
