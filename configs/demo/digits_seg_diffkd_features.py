# Copyright (c) mmdiffkd contributors.
# DiffKD on the four maps of the feature pyramid, without an autoencoder.
_base_ = './_base_/digits_seg_distill.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

levels = ['p2', 'p3', 'p4', 'p5']
model = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        connectors={
            f'diff_{p}': dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=32,
                teacher_channels=64)
            for p in levels
        },
        connector_forward_mappings={
            f'diff_{p}': dict(
                s_feature=dict(recorder='fpn', from_student=True, data_idx=i),
                t_feature=dict(recorder='fpn', from_student=False, data_idx=i))
            for i, p in enumerate(levels)
        },
        distill_losses={
            f'loss_kd_{p}': dict(
                type='mmrazor.L2Loss',
                normalize=False,
                div_element=True,
                loss_weight=1.0)
            for p in levels
        },
        loss_forward_mappings={
            f'loss_kd_{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, connector=f'diff_{p}'),
                t_feature=dict(
                    recorder='fpn', from_student=False, connector=f'diff_{p}'))
            for p in levels
        }))
