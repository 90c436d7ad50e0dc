# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the last feature map before pooling: mean squared error
# behind a 1x1 convolution of the student.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        mse=dict(
            source='backbone',
            recorder_name='feature',
            data_idx=-1,  # a backbone returns the maps of its stages
            connector_name='projection',
            connector=dict(
                type='mmrazor.ConvModuleConnector',
                # Widths of ResNet-18 and -34; other pairs name theirs.
                in_channel=512,
                out_channel=512,
                kernel_size=1,
                act_cfg=None,
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
