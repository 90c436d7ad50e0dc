# Copyright (c) mmdiffkd contributors.
# Plain feature mimicking: one 1x1 convolution and the mean squared error.
_base_ = './_base_/bccd_distill.py'

levels = ['p3', 'p4', 'p5', 'p6', 'p7']
model = dict(
    distiller=dict(
        connectors={
            f'align_{p}': dict(
                type='TorchNNConnector',
                module_name='Conv2d',
                module_args=dict(
                    in_channels=64, out_channels=64, kernel_size=1
                ),
            )
            for p in levels
        },
        distill_losses={
            f'loss_mse_{p}': dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=5.0,
            )
            for p in levels
        },
        loss_forward_mappings={
            f'loss_mse_{p}': dict(
                s_feature=dict(
                    recorder='fpn',
                    from_student=True,
                    data_idx=i,
                    connector=f'align_{p}',
                ),
                t_feature=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i, p in enumerate(levels)
        },
    )
)
