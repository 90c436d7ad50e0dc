# Copyright (c) mmdiffkd contributors.
# CIFAR-10 at 16 x 16, in half of the configs' epochs. No trials: weights of
# the bases, and what the authors of DKD, DIST and of the z-scores have on
# CIFAR-100. CWD is made for dense prediction, PKD for pyramids.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
_pair = 'model.distiller.pairs.'
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        # 20 epochs, as in its config.
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        options=_epochs,
        length=_epochs,
        methods=dict(
            alone=dict(config='configs/demo/cifar16_resnet8.py'),
            control=dict(config='configs/demo/cifar16_mimic.py'),
            diffkd=dict(config='configs/demo/cifar16_diffkd.py'),
            kd=dict(config='configs/demo/cifar16_kd.py'),
            mimicking=dict(config='configs/demo/cifar16_mse.py'),
            dkd=dict(
                config='configs/demo/cifar16_dkd.py',
                options={
                    _pair + 'dkd.loss.tau': 4.0,
                    _pair + 'dkd.loss.beta': 2.0,
                },
            ),
            dist=dict(
                config='configs/demo/cifar16_dist.py',
                options={_pair + 'dist.loss.tau': 4.0},
            ),
            kd_zscore=dict(
                config='configs/demo/cifar16_kd.py',
                options={
                    _pair + 'kd.loss.standardize': True,
                    _pair + 'kd.loss.tau': 2.0,
                    _pair + 'kd.loss.loss_weight': 9.0,
                },
            ),
            diffkd_released=dict(
                config='configs/demo/cifar16_diffkd.py',
                options={
                    _pair + 'kd_feature.connector.recipe': 'released',
                    _pair + 'kd_logits.connector.recipe': 'released',
                },
            ),
            dskd=dict(config='configs/demo/cifar16_dskd.py'),
            dskd_student=dict(
                config='configs/demo/cifar16_dskd.py',
                options={
                    _pair
                    + 'dskd_feature.connector.diffusion_target': 'student'
                },
            ),
        ),
    )
)
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
