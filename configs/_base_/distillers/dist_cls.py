# Copyright (c) mmdiffkd contributors.
# DIST on the logits: correlation within and across instances, both with
# weight 2, as on ImageNet. On CIFAR-100 its authors have tau = 4, which
# multiplies both terms by tau^2 = 16.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dist=dict(
            source='head',
            recorder_name='logits',
            loss=dict(
                type='mmdiffkd.DISTLoss',
                inter_loss_weight=2.0,
                intra_loss_weight=2.0,
                tau=1.0,
            ),
        )
    ),
)
