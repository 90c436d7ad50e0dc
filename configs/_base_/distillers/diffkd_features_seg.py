# Copyright (c) mmdiffkd contributors.
# DiffKD on the last map of the backbone, in the place of the predicted map:
# autoencoder and mean squared error, as the paper has them for classification.
# The teacher's head is not run. For a neck, name it as `source`.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd=dict(
            source='backbone',
            recorder_name='feature',
            data_idx=-1,  # a backbone returns the maps of its stages
            connector_name='diff_feature',
            connector=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=512,  # ResNet-18; MobileNetV2: 320
                teacher_channels=2048,
                latent_channels=512,
                diffusion_loss_weight=1.0,  # lambda_1 of the paper
                autoencoder_loss_weight=1.0,  # lambda_2
                norm_cfg=dict(type='SyncBN'),
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
