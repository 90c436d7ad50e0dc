# Copyright (c) mmdiffkd contributors.
# An exploration: what may a diffusion model of the teacher's feature add to KD
# on the logits? One seed, validation images; the setting of cifar16.py.
# The control is KD on the logits with the feature mimicked without diffusion;
# 10 in a name is the weight of the feature's distance, 1 where there is none.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_weight = 'model.distiller.pairs.kd_feature.loss.loss_weight'
_10, _30, _50, _100 = (
    {_weight: weight} for weight in (10.0, 30.0, 50.0, 100.0)
)
_connector = 'model.distiller.pairs.kd_feature.connector.'
# Trained on the teacher before, as README.md says, and frozen.
_trained = {
    _connector + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
    _connector + 'freeze_diffusion': True,
}
# From t = 250 and 0.
_two = {_connector + 'sampler.num_inference_steps': 2}
# Without a projection behind the chain, which lets the one in front of it lead
# anywhere, nor a norm, which takes the mean away: the student is brought to
# the teacher in front of the chain, and less so behind it; the chain starts at
# the timestep whose noise the student has.
_aligned = {
    _connector + 'output_projection': False,
    _connector + 'student_norm': False,
    _connector + 'noise_matching.type': 'StudentNoiseLevel',
    _connector + 'direct_loss_weight': 30.0,
    _connector + 'kd_warmup_iters': 312,
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
            control_10=dict(config=_mimic, options=_10),
            trained_10=dict(config=_diffkd, options={**_10, **_trained}),
            control_30=dict(config=_mimic, options=_30),
            trained_30=dict(config=_diffkd, options={**_30, **_trained}),
            control_100=dict(config=_mimic, options=_100),
            aligned_10=dict(
                config=_diffkd,
                options={**_10, **_trained, **_two, **_aligned},
            ),
            control_50=dict(config=_mimic, options=_50),
            trained_100=dict(config=_diffkd, options={**_100, **_trained}),
            two_steps_30=dict(
                config=_diffkd, options={**_30, **_trained, **_two}
            ),
        ),
    )
)
images = 'validation'
alone = 'kd'
seeds = [0]
clock = 'cpu'
