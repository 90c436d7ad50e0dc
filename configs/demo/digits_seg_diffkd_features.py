# Copyright (c) mmdiffkd contributors.
# DiffKD on the four maps of the feature pyramid, without an autoencoder.
_base_ = './_base_/digits_seg_distill.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(
                source='neck',
                recorder_name='fpn',
                levels=['p2', 'p3', 'p4', 'p5'],
                connector_name='diff',
                connector=dict(
                    type='mmdiffkd.DiffKDConnector',
                    student_channels=32,
                    teacher_channels=72,
                ),
                loss=dict(
                    type='mmrazor.L2Loss',
                    normalize=False,
                    div_element=True,
                    loss_weight=1.0,
                ),
            )
        ),
    )
)
