# Copyright (c) mmdiffkd contributors.
# Whose is the gain of a student of a quarter of the teacher's width?
# All go through the same projections, but for the control, which has no
# network between them. `trained` has DiffKD's network trained on the teacher
# before, `untrained` with random weights, both frozen; `beside` learns to
# denoise beside the student, as in the bases; `learned` has the same network
# without a diffusion loss, trained by the distance alone. Four weights of each
# are tried. CIFAR16_TEACHER names the teacher's weights.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 10,
    'param_scheduler.1.milestones': [5, 7],
}
_pair = 'model.distiller.pairs.kd_feature.'
_connector = _pair + 'connector.'
_weight = dict(
    weight=dict(
        keys=[_pair + 'loss.loss_weight'],
        choices=[10.0, 30.0, 60.0, 100.0],
        start=30.0,
    )
)
_steps = {_connector + 'sampler.num_inference_steps': 2}
_networks = dict(
    untrained={
        _connector
        + 'diffusion_ckpt': 'work_dirs/cifar16_untrained/diffusion.pth',
        _connector + 'freeze_diffusion': True,
    },
    trained={
        _connector
        + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
        _connector + 'freeze_diffusion': True,
    },
    learned={
        _connector + 'zero_init': False,
        _connector + 'kd_grad_to_denoiser': True,
        _connector + 'diffusion_loss_weight': 0.0,
    },
    beside={},
)
data_sets = dict(
    quarter=dict(
        metric='accuracy/top1',
        options={
            **_epochs,
            'model.architecture.backbone.channels': [4, 4, 8, 16],
            'model.architecture.head.in_channels': 16,
            _connector + 'student_channels': 16,
        },
        length=_epochs,
        tune=_weight,
        methods=dict(
            control=dict(config='configs/demo/cifar16_mimic_kd.py'),
            **{
                name: dict(
                    config='configs/demo/cifar16_diffkd_kd.py',
                    options={**_steps, **options},
                )
                for name, options in _networks.items()
            },
        ),
    )
)
trials = 4
alone = 'control'
tuning_seeds = [40]
seeds = [41, 42, 43, 44, 45, 46, 47, 48, 49, 50]
clock = 'cpu'
