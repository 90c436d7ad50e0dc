# Copyright (c) mmdiffkd contributors.
# KD on the logits in all; beside it nothing, the feature mimicked, or denoised
# by a diffusion model that was trained on the teacher before: `trained` has
# it between learned projections, `aligned` in the teacher's own space. A
# weight of each is tuned, and the steps of a chain, in as many trials for
# each.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_pairs = 'model.distiller.pairs.'
_connector = _pairs + 'kd_feature.connector.'
_feature_weight = _pairs + 'kd_feature.loss.loss_weight'
_trained = {
    _connector + 'freeze_diffusion': True,
    _connector + 'sampler.start_timestep': 250,
}
# See cifar16_variants.py.
_aligned = {
    _connector + 'output_projection': False,
    _connector + 'student_norm': False,
    _connector + 'noise_matching.type': 'StudentNoiseLevel',
    _connector + 'kd_warmup_iters': 312,
    _feature_weight: 10.0,
}


def _weight(key: str, start: float) -> dict:
    """A weight within a factor of 4 of its start."""
    return dict(
        weight=dict(
            keys=[key], low=start / 4, high=start * 4, log=True, start=start
        )
    )


# Of two, the second is at t = 0.
_steps = dict(
    steps=dict(
        keys=[_connector + 'sampler.num_inference_steps'],
        choices=[1, 2],
        start=2,
    )
)
_from_file = [_connector + 'diffusion_ckpt']
_mimic = 'configs/demo/cifar16_mimic_kd.py'
_diffkd = 'configs/demo/cifar16_diffkd_kd.py'
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        diffusion=dict(config=_diffkd, seed=0, iters=4000),
        options=_epochs,
        length=_epochs,
        methods=dict(
            kd=dict(
                config='configs/demo/cifar16_kd.py',
                tune=_weight(_pairs + 'kd.loss.loss_weight', 1.0),
            ),
            control=dict(config=_mimic, tune=_weight(_feature_weight, 30.0)),
            trained=dict(
                config=_diffkd,
                options=_trained,
                diffusion_ckpt=_from_file,
                tune={**_weight(_feature_weight, 30.0), **_steps},
            ),
            aligned=dict(
                config=_diffkd,
                options={**_trained, **_aligned},
                diffusion_ckpt=_from_file,
                tune={
                    **_weight(_connector + 'direct_loss_weight', 30.0),
                    **_steps,
                },
            ),
        ),
    )
)
alone = 'kd'
trials = 5
tuning_seeds = [1, 2]
seeds = [21, 22, 23, 24, 25]
clock = 'cpu'
equal_time = 'trained'
