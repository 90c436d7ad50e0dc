# Copyright (c) mmdiffkd contributors.
# CIFAR-10 at 16 x 16, in the 20 epochs of the configs, at whose end the
# student alone no longer improves. No trials here: weights of the bases and,
# of DKD, DIST and the z-scores, those of cifar16.py. `control_30` and
# `diffkd_30` are what ten epochs and the validation images of seed 0 chose,
# see cifar16_feature.py: KD, and a feature of weight 30 beside it.
_pair = 'model.distiller.pairs.'
_feature = _pair + 'kd_feature.'
_released = {
    _pair + 'kd_feature.connector.recipe': 'released',
    _pair + 'kd_logits.connector.recipe': 'released',
}
_weight = {_feature + 'loss.loss_weight': 30.0}
_trained = {
    _feature + 'connector.freeze_diffusion': True,
    _feature + 'connector.sampler.num_inference_steps': 2,
}
_kd = 'configs/demo/cifar16_kd.py'
_diffkd_kd = 'configs/demo/cifar16_diffkd_kd.py'
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        diffusion=dict(config=_diffkd_kd, seed=0, iters=4000),
        length={
            'train_cfg.max_epochs': 20,
            'train_cfg.val_interval': 4,
            'param_scheduler.1.milestones': [10, 14],
        },
        methods=dict(
            alone=dict(config='configs/demo/cifar16_resnet8.py'),
            control_30=dict(
                config='configs/demo/cifar16_mimic_kd.py', options=_weight
            ),
            diffkd_30=dict(
                config=_diffkd_kd,
                options={**_weight, **_trained},
                diffusion_ckpt=[_feature + 'connector.diffusion_ckpt'],
            ),
            kd=dict(config=_kd),
            dist=dict(
                config='configs/demo/cifar16_dist.py',
                options={_pair + 'dist.loss.tau': 4.0},
            ),
            dkd=dict(
                config='configs/demo/cifar16_dkd.py',
                options={
                    _pair + 'dkd.loss.tau': 4.0,
                    _pair + 'dkd.loss.beta': 2.0,
                },
            ),
            kd_zscore=dict(
                config=_kd,
                options={
                    _pair + 'kd.loss.standardize': True,
                    _pair + 'kd.loss.tau': 2.0,
                    _pair + 'kd.loss.loss_weight': 9.0,
                },
            ),
            control=dict(config='configs/demo/cifar16_mimic.py'),
            diffkd=dict(config='configs/demo/cifar16_diffkd.py'),
            diffkd_released=dict(
                config='configs/demo/cifar16_diffkd.py', options=_released
            ),
            mimicking=dict(config='configs/demo/cifar16_mse.py'),
            dskd=dict(config='configs/demo/cifar16_dskd.py'),
        ),
    )
)
control = 'control_30'
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
