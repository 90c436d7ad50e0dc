# Copyright (c) mmdiffkd contributors.
# CIFAR-10 at 16 x 16, in the 20 epochs of the configs. No trials: weights of
# the bases, those of standardised KD as in its paper.
_loss = 'model.distiller.pairs.kd.loss.'
data_sets = dict(
    cifar16=dict(
        metric='accuracy/top1',
        teacher=dict(config='configs/demo/cifar16_resnet20.py', seed=0),
        length={
            'train_cfg.max_epochs': 20,
            'train_cfg.val_interval': 4,
            'param_scheduler.1.milestones': [10, 14],
        },
        methods=dict(
            alone=dict(config='configs/demo/cifar16_resnet8.py'),
            control=dict(config='configs/demo/cifar16_mimic.py'),
            diffkd=dict(config='configs/demo/cifar16_diffkd.py'),
            kd=dict(config='configs/demo/cifar16_kd.py'),
            kd_standardised=dict(
                config='configs/demo/cifar16_kd.py',
                options={
                    _loss + 'standardize': True,
                    _loss + 'tau': 2.0,
                    _loss + 'loss_weight': 9.0,
                },
            ),
            mimicking=dict(config='configs/demo/cifar16_mse.py'),
        ),
    )
)
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
