# Copyright (c) mmdiffkd contributors.
# CamVid, 400 iterations: the control against DiffKD whose diffusion model was
# trained on the teacher before and stays as it is, in two steps. Four weights
# of each are tried, that of the configs and up to 27 times that; seeds that
# camvid.py does not have.
_pair = 'model.distiller.pairs.kd.'
_connector = _pair + 'connector.'
_length = 400
_weight = dict(
    weight=dict(
        keys=[_pair + 'loss.loss_weight'], choices=[20.0, 60.0, 180.0, 540.0]
    )
)
data_sets = dict(
    camvid=dict(
        metric='mIoU',
        diffusion=dict(
            config='configs/demo/camvid_diffkd_features.py', seed=0, iters=1000
        ),
        length={
            'train_cfg.max_iters': _length,
            'train_cfg.val_interval': _length,
            'param_scheduler.1.end': _length,
            'default_hooks.checkpoint.interval': _length,
        },
        methods=dict(
            control=dict(config='configs/demo/camvid_mimic.py', tune=_weight),
            trained=dict(
                config='configs/demo/camvid_diffkd_features.py',
                options={
                    _connector + 'freeze_diffusion': True,
                    _connector + 'sampler.num_inference_steps': 2,
                },
                tune=_weight,
                diffusion_ckpt=[_connector + 'diffusion_ckpt'],
            ),
            alone=dict(config='configs/demo/camvid_student.py'),
        ),
    )
)
trials = 4
tuning_seeds = [1]
seeds = [21, 22, 23, 24, 25]
clock = 'cpu'
