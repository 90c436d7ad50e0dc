# Copyright (c) mmdiffkd contributors.
# An exploration: what may a diffusion model of the teacher's feature add to KD
# on the logits? One seed, validation images; the setting of cifar16.py.
# The control is KD on the logits with the feature mimicked without diffusion.
# diffusion.pth: see README.md. In the name of a variant, `10` is the weight of
# the feature's distance, 1 where there is none.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_weight = 'model.distiller.pairs.kd_feature.loss.loss_weight'
_connector = 'model.distiller.pairs.kd_feature.connector.'
_trained = {
    _connector + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
    _connector + 'freeze_diffusion': True,
}
_mimic = 'configs/demo/cifar16_mimic_kd.py'
_diffkd = 'configs/demo/cifar16_diffkd_kd.py'
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        options=_epochs,
        methods=dict(
            kd=dict(config='configs/demo/cifar16_kd.py'),
            control=dict(config=_mimic),
            diffkd=dict(config=_diffkd),
            control_10=dict(config=_mimic, options={_weight: 10.0}),
            diffkd_10=dict(config=_diffkd, options={_weight: 10.0}),
            trained_10=dict(config=_diffkd, options={_weight: 10.0, **_trained}),
        ),
    )
)
images = 'validation'
alone = 'kd'
tuning_seeds = []
seeds = [0]
clock = 'cpu'
