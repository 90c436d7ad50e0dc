# Copyright (c) mmdiffkd contributors.
# Decoupled distillation of the logits, weighted as in its authors' config for
# ResNet-18 on ImageNet, but from the start. For CIFAR-100: dkd_cls_cifar100.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        logits=dict(type='ModuleOutputs', source='head'),
        # The head calls its loss with (scores, labels). With Mixup and CutMix
        # the labels are shares of classes, of which the largest counts.
        task=dict(type='ModuleInputs', source='head.loss_module'),
    ),
    teacher_recorders=dict(logits=dict(type='ModuleOutputs', source='head')),
    distill_losses=dict(
        loss_dkd=dict(
            type='mmdiffkd.DKDLoss',
            tau=1.0,
            alpha=1.0,
            beta=0.5,
            loss_weight=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_dkd=dict(
            preds_S=dict(recorder='logits', from_student=True),
            preds_T=dict(recorder='logits', from_student=False),
            gt_labels=dict(recorder='task', from_student=True, data_idx=1),
        )
    ),
)
