# Copyright (c) mmdiffkd contributors.
# An exploration: keys of the diffusion that cifar16_variants.py has not tried,
# each beside the control, at the weight that was best there. Two seeds,
# validation images; KD on the logits in all.
# `trained` has a diffusion model that was trained before and is frozen,
# `beside` one that learns beside the student; both go two steps from t = 250.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_pair = 'model.distiller.pairs.kd_feature.'
_connector = _pair + 'connector.'
_weight = {_pair + 'loss.loss_weight': 30.0}
_beside = {**_weight, _connector + 'sampler.num_inference_steps': 2}
_trained = {
    **_beside,
    _connector + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
}
_frozen = {**_trained, _connector + 'freeze_diffusion': True}
# The second of three stages, of half the width and twice the side.
_earlier = {
    **_weight,
    _pair + 'source': 'backbone.stages.1',
    _pair + 'data_idx': None,
    _connector + 'student_channels': 16,
    _connector + 'teacher_channels': 32,
}
_mimic = 'configs/demo/cifar16_mimic_kd.py'
_diffkd = 'configs/demo/cifar16_diffkd_kd.py'
_keys = {
    'trained': _frozen,
    'trained_on': _trained,
    'one_step': {**_frozen, _connector + 'sampler.num_inference_steps': 1},
    'start_100': {**_frozen, _connector + 'sampler.start_timestep': 100},
    'gamma_half': {**_frozen, _connector + 'initial_gamma': 0.5},
    'variance_preserving': {
        **_frozen,
        _connector + 'noise_matching.mix': 'variance_preserving',
        _connector + 'initial_gamma': 0.9,
    },
    'both_sides': {**_frozen, _connector + 'direct_loss_weight': 1.0},
    'beside': _beside,
    'min_snr': {**_beside, _connector + 'schedule.min_snr_gamma': 5.0},
    'clean': {**_beside, _connector + 'prediction': 'clean'},
    'velocity': {**_beside, _connector + 'prediction': 'velocity'},
    'earlier': {**_beside, **_earlier},
}
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        options=_epochs,
        methods=dict(
            control=dict(config=_mimic, options=_weight),
            control_earlier=dict(config=_mimic, options=_earlier),
            **{
                name: dict(config=_diffkd, options=options)
                for name, options in _keys.items()
            },
        ),
    )
)
images = 'validation'
alone = 'control'
seeds = [1, 2]
clock = 'cpu'
