# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the last feature map before pooling: mean squared error
# behind a 1x1 convolution of the student.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone')
    ),
    teacher_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone')
    ),
    connectors=dict(
        # Widths of ResNet-18 and -34; other pairs name theirs.
        projection=dict(
            type='mmrazor.ConvModuleConnector',
            in_channel=512,
            out_channel=512,
            kernel_size=1,
            act_cfg=None,
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
    # A backbone returns the maps of its stages; -1 is the last.
    loss_forward_mappings=dict(
        loss_mse=dict(
            s_feature=dict(
                recorder='feature',
                from_student=True,
                data_idx=-1,
                connector='projection',
            ),
            t_feature=dict(
                recorder='feature', from_student=False, data_idx=-1
            ),
        )
    ),
)
