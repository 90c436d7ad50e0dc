# Copyright (c) mmdiffkd contributors.
# Blood cells, three times the iterations of bccd.py: 624. All else is its.
_base_ = './bccd.py'

data_sets = dict(
    bccd=dict(
        length={
            'train_cfg.max_epochs': 24,
            'train_cfg.val_interval': 24,
            'param_scheduler.1.T_max': 24,
            'default_hooks.checkpoint.interval': 24,
        },
    )
)
