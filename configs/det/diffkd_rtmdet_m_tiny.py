# Copyright (c) mmdiffkd contributors.
# Written by `mmdiffkd make-config`.
# Teacher AP 49.1; student alone 40.9. 8 GPUs x 32 images = 256, 300 epochs.
# fmt: off
_base_ = ['mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py']
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    _delete_=True, type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdet::rtmdet/rtmdet_m_8xb32-300e_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_m_8xb32-300e_coco/rtmdet_m_8xb32-300e_coco_20220719_112220-229f527c.pth',
    distiller=dict(
        _scope_='mmrazor', type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(
                source='neck', levels=['p3', 'p4', 'p5'],
                connector=dict(type='mmdiffkd.DiffKDConnector'),
                loss=dict(
                    type='mmrazor.L2Loss', normalize=False, div_element=True,
                    loss_weight=5.0)))))
