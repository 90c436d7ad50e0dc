# Copyright (c) mmdiffkd contributors.
# What cifar16_variants.py chose, on seeds and images that had no part in it:
# KD on the logits alone; with the feature mimicked, the control; with the
# feature denoised in two steps by a diffusion model that was trained on the
# teacher before, the cheapest of four that were level in validation.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_weight = {'model.distiller.pairs.kd_feature.loss.loss_weight': 30.0}
_connector = 'model.distiller.pairs.kd_feature.connector.'
_trained = {
    _connector + 'diffusion_ckpt': 'work_dirs/cifar16_diffusion/diffusion.pth',
    _connector + 'freeze_diffusion': True,
    _connector + 'sampler.num_inference_steps': 2,
}
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        options=_epochs,
        length=_epochs,
        methods=dict(
            control=dict(
                config='configs/demo/cifar16_mimic_kd.py', options=_weight
            ),
            diffkd=dict(
                config='configs/demo/cifar16_diffkd_kd.py',
                options={**_weight, **_trained},
            ),
            kd=dict(config='configs/demo/cifar16_kd.py'),
        ),
    )
)
alone = 'kd'
seeds = [13, 14, 15, 16, 17]
clock = 'cpu'
equal_time = 'diffkd'
