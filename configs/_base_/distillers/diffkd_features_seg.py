# Copyright (c) mmdiffkd contributors.
# DiffKD on the last map of the backbone, in the place of the predicted map:
# autoencoder and mean squared error, as the paper has them for classification.
# The teacher's head is not run. For a neck, name it as `source`.
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
        diff_feature=dict(
            type='mmdiffkd.DiffKDConnector',
            student_channels=512,  # ResNet-18; MobileNetV2: 320
            teacher_channels=2048,
            latent_channels=512,
            diffusion_loss_weight=1.0,  # lambda_1 of the paper
            autoencoder_loss_weight=1.0,  # lambda_2
            norm_cfg=dict(type='SyncBN'),
        )
    ),
    # A backbone returns the maps of its stages; -1 is the last.
    connector_forward_mappings=dict(
        diff_feature=dict(
            s_feature=dict(recorder='feature', from_student=True, data_idx=-1),
            t_feature=dict(
                recorder='feature', from_student=False, data_idx=-1
            ),
        )
    ),
    distill_losses=dict(
        loss_kd=dict(
            type='mmrazor.L2Loss',
            normalize=False,
            div_element=True,
            loss_weight=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_kd=dict(
            s_feature=dict(
                recorder='feature', from_student=True, connector='diff_feature'
            ),
            t_feature=dict(
                recorder='feature',
                from_student=False,
                connector='diff_feature',
            ),
        )
    ),
)
