# Copyright (c) mmdiffkd contributors.
# DiffKD on a feature pyramid with 256 channels, by default the levels P3 to P7
# of RetinaNet, FCOS and RepPoints. Of two stages they are P2 to P6: set
# `pairs.kd.outputs`.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd=dict(
            source='neck',
            recorder_name='fpn',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            connector_name='diff',
            connector=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=256,
                teacher_channels=256,
                diffusion_loss_weight=1.0,  # lambda_1 of the paper
            ),
            # Mean squared error; the paper's weight for all but RepPoints.
            loss=dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5.0,
            ),
        )
    ),
)
