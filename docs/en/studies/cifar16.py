# Copyright (c) mmdiffkd contributors.
# CIFAR-10 at 16 x 16, in half of the configs' epochs. No trials: weights of
# the bases.
_epochs = {
    'train_cfg.max_epochs': 10,
    'train_cfg.val_interval': 2,
    'param_scheduler.1.milestones': [5, 7],
}
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
        ),
    )
)
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
