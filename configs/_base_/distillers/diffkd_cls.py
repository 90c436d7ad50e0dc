# Copyright (c) mmdiffkd contributors.
# DiffKD for classification: of the last feature map before pooling, and of
# the logits, with the Kullback-Leibler divergence as distance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone'),
        logits=dict(type='ModuleOutputs', source='head'),
    ),
    teacher_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone'),
        logits=dict(type='ModuleOutputs', source='head'),
    ),
    connectors=dict(
        # Widths of ResNet-18 and -34; other pairs name theirs.
        diff_feature=dict(
            type='mmdiffkd.DiffKDConnector',
            student_channels=512,
            teacher_channels=512,
            latent_channels=1024,  # of the autoencoder
            diffusion_loss_weight=1.0,  # lambda_1 of the paper
            autoencoder_loss_weight=1.0,
        ),  # lambda_2
        diff_logits=dict(
            type='mmdiffkd.DiffKDConnector',
            student_channels=1000,
            teacher_channels=1000,
            denoiser=dict(type='MLPDenoiser'),
            diffusion_loss_weight=1.0,
        ),
    ),
    # A backbone returns the maps of its stages; -1 is the last.
    connector_forward_mappings=dict(
        diff_feature=dict(
            s_feature=dict(recorder='feature', from_student=True, data_idx=-1),
            t_feature=dict(
                recorder='feature', from_student=False, data_idx=-1
            ),
        ),
        diff_logits=dict(
            s_feature=dict(recorder='logits', from_student=True),
            t_feature=dict(recorder='logits', from_student=False),
        ),
    ),
    distill_losses=dict(
        # Mean squared error; lambda_3 of the paper is 1 in both.
        loss_kd_feature=dict(
            type='mmrazor.L2Loss',
            normalize=False,
            div_element=True,
            loss_weight=1.0,
        ),
        loss_kd_logits=dict(
            type='mmdiffkd.KLDivergence', tau=1.0, loss_weight=1.0
        ),
    ),
    loss_forward_mappings=dict(
        loss_kd_feature=dict(
            s_feature=dict(
                recorder='feature', from_student=True, connector='diff_feature'
            ),
            t_feature=dict(
                recorder='feature',
                from_student=False,
                connector='diff_feature',
            ),
        ),
        loss_kd_logits=dict(
            preds_S=dict(
                recorder='logits', from_student=True, connector='diff_logits'
            ),
            preds_T=dict(
                recorder='logits', from_student=False, connector='diff_logits'
            ),
        ),
    ),
)
