# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the pyramid, P3 to P7: a 1x1 convolution and the mean
# squared error.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        mimic=dict(
            source='neck',
            recorder_name='fpn',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            connector_name='align',
            connector=dict(
                type='TorchNNConnector',
                module_name='Conv2d',
                module_args=dict(
                    in_channels=256, out_channels=256, kernel_size=1
                ),
            ),
            # The weight of the distance in DiffKD, to compare with it.
            loss=dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5.0,
            ),
        )
    ),
)
