# Copyright (c) mmdiffkd contributors.
# Written by `mmdiffkd make-config`.
# Teacher 83.66; student alone 82.14. 32 GPUs x 128 images, 300 epochs.
# fmt: off
_base_ = ['mmpretrain::convnext/convnext-tiny_32xb128_in1k.py']
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    _delete_=True, type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmpretrain::convnext/convnext-base_32xb128_in1k.py'),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/convnext/convnext-base_32xb128_in1k_20221207-fbdb5eb9.pth',
    distiller=dict(
        _scope_='mmrazor', type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd_feature=dict(
                source='backbone.stages.3',
                connector=dict(type='mmdiffkd.DiffKDConnector'),
                loss=dict(
                    type='mmrazor.L2Loss', normalize=False, div_element=True)),
            kd_logits=dict(
                source='head',
                connector=dict(
                    type='mmdiffkd.DiffKDConnector',
                    denoiser=dict(type='MLPDenoiser')),
                loss=dict(type='mmdiffkd.KLDivergence', tau=1.0)))))
