# Copyright (c) mmdiffkd contributors.
# Bare mimicking: a 1x1 convolution and the mean squared error.
_base_ = './_base_/retina_r101_r50.py'

model = dict(
    distiller=dict(
        connectors={
            f'align_{i}': dict(
                type='TorchNNConnector',
                module_name='Conv2d',
                module_args=dict(
                    in_channels=256, out_channels=256, kernel_size=1
                ),
            )
            for i in range(5)
        },
        distill_losses={
            f'loss_mimic_{i}': dict(
                type='L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5,
            )
            for i in range(5)
        },
        loss_forward_mappings={
            f'loss_mimic_{i}': dict(
                s_feature=dict(
                    recorder='fpn',
                    from_student=True,
                    data_idx=i,
                    connector=f'align_{i}',
                ),
                t_feature=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i in range(5)
        },
    )
)
