# Copyright (c) mmdiffkd contributors.
# DIST on the logits: correlation within and across instances, both with
# weight 2, as on ImageNet. For CIFAR-100: dist_cls_cifar100.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(logits=dict(type='ModuleOutputs', source='head')),
    teacher_recorders=dict(logits=dict(type='ModuleOutputs', source='head')),
    distill_losses=dict(
        loss_dist=dict(
            type='mmdiffkd.DISTLoss',
            inter_loss_weight=2.0,
            intra_loss_weight=2.0,
            tau=1.0,
        )
    ),
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='logits', from_student=True),
            logits_T=dict(recorder='logits', from_student=False),
        )
    ),
)
