# Copyright (c) mmdiffkd contributors.
# DiffKD for classification: of the last feature map before pooling, and of
# the logits, with the Kullback-Leibler divergence as distance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd_feature=dict(
            source='backbone',
            recorder_name='feature',
            data_idx=-1,  # a backbone returns the maps of its stages
            connector_name='diff_feature',
            connector=dict(
                type='mmdiffkd.DiffKDConnector',
                # Widths of ResNet-18 and -34; other pairs name theirs.
                student_channels=512,
                teacher_channels=512,
                latent_channels=1024,  # of the autoencoder
                diffusion_loss_weight=1.0,  # lambda_1 of the paper
                autoencoder_loss_weight=1.0,  # lambda_2
            ),
            # Mean squared error; lambda_3 of the paper is 1 in both.
            loss=dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=1.0,
            ),
        ),
        kd_logits=dict(
            source='head',
            recorder_name='logits',
            connector_name='diff_logits',
            connector=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=1000,  # classes
                teacher_channels=1000,
                denoiser=dict(type='MLPDenoiser'),
                diffusion_loss_weight=1.0,
            ),
            loss=dict(type='mmdiffkd.KLDivergence', tau=1.0, loss_weight=1.0),
        ),
    ),
)
