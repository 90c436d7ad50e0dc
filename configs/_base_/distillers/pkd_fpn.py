# Copyright (c) mmdiffkd contributors.
# Correlation of features (PKD) on the pyramid, P3 to P6 of P3 to P7.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        pkd=dict(
            source='neck',
            recorder_name='fpn',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            # Levels and weight of MMRazor's config for RetinaNet; for Faster
            # R-CNN it has P2 to P5 and 6.
            levels=['p3', 'p4', 'p5', 'p6'],
            loss=dict(type='mmrazor.PKDLoss', loss_weight=10.0),
        )
    ),
)
