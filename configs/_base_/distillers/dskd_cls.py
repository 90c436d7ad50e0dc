# Copyright (c) mmdiffkd contributors.
# DSKD for classification: the last feature map before pooling, denoised under
# the guidance of the teacher's linear classifier, teaches that map. What is
# the paper's and what is our reading of it: docs/en/dskd.md.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone'),
        # Called with (scores, labels); read if guidance.target is 'label'.
        task=dict(type='ModuleInputs', source='head.loss_module'),
    ),
    teacher_recorders=dict(
        feature=dict(type='ModuleOutputs', source='backbone')
    ),
    connectors=dict(
        # Widths of ResNet-18 and -34; other pairs name theirs.
        dskd_feature=dict(
            type='mmdiffkd.DSKDConnector',
            student_channels=512,
            teacher_channels=512,
            guidance=dict(
                head='head.fc', pool=True, target='teacher', scale=10.0
            ),
            # Trains the denoiser alone, which SGD otherwise moves slowly.
            diffusion_loss_weight=10.0,
        )
    ),
    # A backbone returns the maps of its stages; -1 is the last.
    connector_forward_mappings=dict(
        dskd_feature=dict(
            s_feature=dict(recorder='feature', from_student=True, data_idx=-1),
            t_feature=dict(
                recorder='feature', from_student=False, data_idx=-1
            ),
            labels=dict(recorder='task', from_student=True, data_idx=1),
        )
    ),
    distill_losses=dict(
        loss_dskd_feature=dict(
            type='mmdiffkd.LSHFeatureLoss',
            channels=512,  # of the teacher
            num_hashes=2048,
            pool=True,
            mse_weight=1.0,
            hash_weight=1.0,
            loss_weight=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_dskd_feature=dict(
            s_feature=dict(
                recorder='feature', from_student=True, connector='dskd_feature'
            ),
            t_feature=dict(
                recorder='feature',
                from_student=False,
                connector='dskd_feature',
            ),
        )
    ),
)
