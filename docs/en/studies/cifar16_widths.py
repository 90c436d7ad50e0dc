# Copyright (c) mmdiffkd contributors.
# Does the gain of the diffusion grow as the student becomes weaker? The
# comparison of cifar16_feature.py, with students of a quarter, a half and the
# whole of the teacher's width. `untrained` is DiffKD with a network of random
# weights in the place of the diffusion model, for the student that gains.
# CIFAR16_TEACHER names the teacher's weights.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 10,
    'param_scheduler.1.milestones': [5, 7],
}
_weight = 'model.distiller.pairs.kd_feature.loss.loss_weight'
_connector = 'model.distiller.pairs.kd_feature.connector.'
_methods = dict(
    control=dict(
        config='configs/demo/cifar16_mimic_kd.py', options={_weight: 30.0}
    ),
    diffkd=dict(
        config='configs/demo/cifar16_diffkd_kd.py',
        options={
            _weight: 30.0,
            _connector
            + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
            _connector + 'freeze_diffusion': True,
            _connector + 'sampler.num_inference_steps': 2,
        },
    ),
)
_untrained = {
    **_methods['diffkd']['options'],
    _connector + 'diffusion_ckpt': 'work_dirs/cifar16_untrained/diffusion.pth',
}


def _student(width: int) -> dict:
    """Options of a student with so many channels in its last stage."""
    channels = [width // 4, width // 4, width // 2, width]
    return {
        **_epochs,
        'model.architecture.backbone.channels': channels,
        'model.architecture.head.in_channels': width,
        _connector + 'student_channels': width,
    }


data_sets = {
    name: dict(
        metric='accuracy/top1',
        options=_student(width),
        length=_epochs,
        methods=_methods,
    )
    for name, width in dict(quarter=16, half=32, whole=64).items()
}
data_sets['quarter']['methods'] = dict(
    _methods,
    untrained=dict(
        config='configs/demo/cifar16_diffkd_kd.py', options=_untrained
    ),
)
alone = 'control'
seeds = [31, 32, 33, 34, 35]
clock = 'cpu'
equal_time = 'diffkd'
