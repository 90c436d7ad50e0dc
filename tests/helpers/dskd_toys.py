# Copyright (c) mmdiffkd contributors.
"""DSKD of the small models of all three libraries."""

import copy

from helpers import task_toys

# Recorded module and index of its output, channels of student and teacher,
# and the teacher's classifier behind it.
PLACES = dict(
    cls=('backbone', -1, 64, 96, dict(head='head.fc', pool=True)),
    seg=('decode_head.convs', None, 8, 8, dict(head='decode_head.conv_seg')),
    det=(
        'neck',
        0,
        16,
        16,
        dict(
            head=['bbox_head.cls_convs', 'bbox_head.retina_cls'],
            activation='sigmoid',
        ),
    ),
)
# Where the head of each task gets the labels.
LABELS = dict(
    cls='head.loss_module',
    seg='decode_head.loss_decode',
    det='bbox_head.loss_cls',
)


def distiller(
    task,
    labels=False,
    student_channels=None,
    teacher_channels=None,
    connector=None,
    **guidance,
):
    """DSKD on one feature; ``guidance`` overrides leaves of its config."""
    source, index, cs, ct, guide = PLACES[task]
    record = dict(feature=dict(type='ModuleOutputs', source=source))
    place = (
        dict(recorder='feature')
        if index is None
        else dict(recorder='feature', data_idx=index)
    )
    cfg = dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=record,
        teacher_recorders=copy.deepcopy(record),
        connectors=dict(
            dskd=dict(
                type='mmdiffkd.DSKDConnector',
                student_channels=student_channels or cs,
                teacher_channels=teacher_channels or ct,
                guidance={**guide, **guidance},
                **(connector or {}),
            )
        ),
        connector_forward_mappings=dict(
            dskd=dict(
                s_feature=dict(from_student=True, **place),
                t_feature=dict(from_student=False, **place),
            )
        ),
        distill_losses=dict(
            loss_dskd=dict(
                type='mmdiffkd.LSHFeatureLoss',
                channels=ct,
                num_hashes=32,
                pool=task == 'cls',
            )
        ),
        loss_forward_mappings=dict(
            loss_dskd={
                f'{side}_feature': dict(
                    recorder='feature',
                    from_student=side == 's',
                    connector='dskd',
                )
                for side in 'st'
            }
        ),
    )
    if labels:
        cfg['student_recorders'] = dict(
            record, task=dict(type='ModuleInputs', source=LABELS[task])
        )
        cfg['connector_forward_mappings']['dskd']['labels'] = dict(
            recorder='task', from_student=True, data_idx=1
        )
    return cfg


def algorithm(task, **options):
    """Config of the whole; ``options`` as of :func:`distiller`."""
    return dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=task_toys.student(task),
        teacher=task_toys.student(task, width=12),
        allow_random_teacher=True,
        distiller=distiller(task, **options),
    )


def build(task, **options):
    return task_toys.build(task, algorithm(task, **options))


def losses(model, task, n=2, seed=0):
    """Losses of one batch in training mode."""
    model.train()
    data = task_toys.batch(task, n=n, seed=seed)
    return model(**model.data_preprocessor(data, True), mode='loss')
