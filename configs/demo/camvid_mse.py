# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the map that is classified, both of stride 8: one 1x1
# convolution and the mean squared error.
_base_ = './_base_/camvid_distill.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=dict(
            feature=dict(type='ModuleOutputs', source='decode_head.convs')
        ),
        teacher_recorders=dict(
            feature=dict(type='ModuleOutputs', source='backbone')
        ),
        connectors=dict(
            align=dict(
                type='TorchNNConnector',
                module_name='Conv2d',
                module_args=dict(
                    in_channels=64, out_channels=256, kernel_size=1
                ),
            )
        ),
        distill_losses=dict(
            loss_mse=dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=1.0,
            )
        ),
        loss_forward_mappings=dict(
            loss_mse=dict(
                s_feature=dict(
                    recorder='feature', from_student=True, connector='align'
                ),
                t_feature=dict(
                    recorder='feature', from_student=False, data_idx=-1
                ),
            )
        ),
    )
)
