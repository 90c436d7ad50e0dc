# Copyright (c) mmdiffkd contributors.
# Decoupled distillation of the logits, weighted as in its authors' config for
# ResNet-18 on ImageNet, but from the start. For ResNet-20 from ResNet-56 on
# CIFAR-100 they have tau = 4 and beta = 2; for other pairs another beta.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dkd=dict(
            source='head',
            recorder_name='logits',
            loss=dict(
                type='mmdiffkd.DKDLoss',
                tau=1.0,
                alpha=1.0,
                beta=0.5,
                loss_weight=1.0,
            ),
            # The head calls its loss with (scores, labels). With Mixup and
            # CutMix the labels are shares of classes; the largest counts.
            loss_inputs=dict(
                gt_labels=dict(
                    source='head.loss_module',
                    recorder_type='ModuleInputs',
                    recorder_name='task',
                    data_idx=1,
                )
            ),
        )
    ),
)
