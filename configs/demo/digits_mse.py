# Copyright (c) mmdiffkd contributors.
# Plain feature mimicking in the place of DiffKD, all else the same.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        connectors=dict(
            _delete_=True,
            **{
                f'align_p{p}': dict(
                    type='TorchNNConnector',
                    module_name='Conv2d',
                    module_args=dict(
                        in_channels=64, out_channels=64, kernel_size=1
                    ),
                )
                for p in range(3, 6)
            },
        ),
        connector_forward_mappings=dict(_delete_=True),
        loss_forward_mappings={
            f'loss_kd_p{p}': dict(
                _delete_=True,
                s_feature=dict(
                    recorder='fpn',
                    from_student=True,
                    data_idx=p - 3,
                    connector=f'align_p{p}',
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, data_idx=p - 3
                ),
            )
            for p in range(3, 6)
        },
    )
)
