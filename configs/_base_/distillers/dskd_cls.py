# Copyright (c) mmdiffkd contributors.
# DSKD for classification: the last feature map before pooling, denoised under
# the guidance of the teacher's linear classifier, teaches that map. What is
# the paper's and what is our reading of it: docs/en/dskd.md.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dskd_feature=dict(
            source='backbone',
            recorder_name='feature',
            data_idx=-1,  # a backbone returns the maps of its stages
            connector=dict(
                type='mmdiffkd.DSKDConnector',
                # Widths of ResNet-18 and -34; other pairs name theirs.
                student_channels=512,
                teacher_channels=512,
                guidance=dict(
                    head='head.fc', pool=True, target='teacher', scale=10.0
                ),
                # Trains the denoiser alone, which SGD otherwise moves slowly.
                diffusion_loss_weight=10.0,
            ),
            # Called with (scores, labels); read if guidance.target is 'label'.
            connector_inputs=dict(
                labels=dict(
                    source='head.loss_module',
                    recorder_type='ModuleInputs',
                    recorder_name='task',
                    data_idx=1,
                )
            ),
            loss=dict(
                type='mmdiffkd.LSHFeatureLoss',
                channels=512,  # of the teacher
                num_hashes=2048,
                pool=True,
                mse_weight=1.0,
                hash_weight=1.0,
                loss_weight=1.0,
            ),
        )
    ),
)
