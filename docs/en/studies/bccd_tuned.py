# Copyright (c) mmdiffkd contributors.
# Blood cells, 208 iterations: the control against DiffKD whose diffusion
# models were trained on the teacher before and stay as they are, in two steps.
# Four weights of each are tried, that of the configs and up to 15 times that;
# seeds that bccd.py does not have.
_pair = 'model.distiller.pairs.kd.'
_connector = _pair + 'connector.'
_weight = dict(
    weight=dict(
        keys=[_pair + 'loss.loss_weight'], choices=[5.0, 12.5, 30.0, 75.0]
    )
)
data_sets = dict(
    bccd=dict(
        metric='coco/bbox_mAP',
        teacher=dict(config='configs/demo/bccd_retina_teacher.py', seed=0),
        diffusion=dict(
            config='configs/demo/bccd_diffkd.py', seed=0, iters=1000
        ),
        length={
            'train_cfg.max_epochs': 8,
            'train_cfg.val_interval': 8,
            'param_scheduler.1.T_max': 8,
            'default_hooks.checkpoint.interval': 8,
        },
        methods=dict(
            alone=dict(config='configs/demo/bccd_retina_student.py'),
            control=dict(config='configs/demo/bccd_mimic.py', tune=_weight),
            trained=dict(
                config='configs/demo/bccd_diffkd.py',
                options={
                    _connector + 'freeze_diffusion': True,
                    _connector + 'sampler.num_inference_steps': 2,
                },
                tune=_weight,
                diffusion_ckpt=[_connector + 'diffusion_ckpt'],
            ),
        ),
    )
)
trials = 4
tuning_seeds = [1]
seeds = [21, 22, 23, 24, 25]
clock = 'cpu'
equal_time = 'trained'
