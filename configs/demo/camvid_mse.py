# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the map that is classified, both of stride 8: one 1x1
# convolution and the mean squared error.
_base_ = './_base_/camvid_distill.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            mse=dict(
                recorder_name='feature',
                student=dict(source='decode_head.convs'),
                teacher=dict(source='backbone', data_idx=-1),
                connector_name='align',
                connector=dict(
                    type='TorchNNConnector',
                    module_name='Conv2d',
                    module_args=dict(
                        in_channels=64, out_channels=256, kernel_size=1
                    ),
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
