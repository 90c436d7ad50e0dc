# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the pyramid, P3 to P7: a 1x1 convolution and the mean
# squared error. For two stages: mimic_fpn_p2_p6.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# `data_idx` counts the neck's outputs from 0, hence p - 3.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    connectors={
        f'align_p{p}': dict(
            type='TorchNNConnector',
            module_name='Conv2d',
            module_args=dict(in_channels=256, out_channels=256, kernel_size=1),
        )
        for p in range(3, 8)
    },
    # The weight of the distance in DiffKD, so that the two can be compared.
    distill_losses={
        f'loss_mimic_p{p}': dict(
            type='mmrazor.L2Loss',
            normalize=False,
            div_element=True,
            loss_weight=5.0,
        )
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_mimic_p{p}': dict(
            s_feature=dict(
                recorder='fpn',
                from_student=True,
                data_idx=p - 3,
                connector=f'align_p{p}',
            ),
            t_feature=dict(recorder='fpn', from_student=False, data_idx=p - 3),
        )
        for p in range(3, 8)
    },
)
