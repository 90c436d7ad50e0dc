# Copyright (c) mmdiffkd contributors.
# The pair of configs/det/diffkd_retina_r101_r50.py under MMRazor's own
# algorithm: its teacher is run to its losses, in training mode. Both pyramids
# are recorded.
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'

model = dict(
    _delete_=True,
    type='mmrazor.SingleTeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        cfg_path='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py',
        pretrained=False,
    ),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r101_fpn_2x_coco/retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth',
    distiller=dict(
        _scope_='mmrazor',
        type='ConfigurableDistiller',
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
    ),
)
