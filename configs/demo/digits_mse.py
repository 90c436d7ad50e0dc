# Copyright (c) mmdiffkd contributors.
# Plain feature mimicking in the place of DiffKD, all else the same.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(
                connector_name='align',
                connector=dict(
                    _delete_=True,
                    type='TorchNNConnector',
                    module_name='Conv2d',
                    module_args=dict(
                        in_channels=64, out_channels=64, kernel_size=1
                    ),
                ),
            )
        )
    )
)
