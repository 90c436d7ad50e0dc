# Copyright (c) mmdiffkd contributors.
# Written by `mmdiffkd make-config`.
# Teacher AP 49.4; student alone 40.5. 8 GPUs x 8 images = 64, 300 epochs.
# fmt: off
_base_ = ['mmdet::yolox/yolox_s_8xb8-300e_coco.py']
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

model = dict(
    _delete_=True, type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdet::yolox/yolox_l_8xb8-300e_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/yolox/yolox_l_8x8_300e_coco/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth',
    distiller=dict(
        _scope_='mmrazor', type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(
                source='neck', levels=['p3', 'p4', 'p5'],
                connector=dict(type='mmdiffkd.DiffKDConnector'),
                loss=dict(
                    type='mmrazor.L2Loss', normalize=False, div_element=True,
                    loss_weight=5.0)))))
