# Copyright (c) mmdiffkd contributors.
# CamVid, 400 iterations: every method as its config is, without trials.
# DiffKD's weight, and the control's with it, was chosen on the validation
# images with seed 0. Feature methods distil the head's feature.
_length = 400
data_sets = dict(
    camvid=dict(
        metric='mIoU',
        length={
            'train_cfg.max_iters': _length,
            'train_cfg.val_interval': _length,
            'param_scheduler.1.end': _length,
            'default_hooks.checkpoint.interval': _length,
        },
        methods=dict(
            alone=dict(config='configs/demo/camvid_student.py'),
            control=dict(config='configs/demo/camvid_mimic.py'),
            diffkd=dict(config='configs/demo/camvid_diffkd_features.py'),
            mimicking=dict(config='configs/demo/camvid_mse.py'),
            kd=dict(config='configs/demo/camvid_kd.py'),
            dist=dict(config='configs/demo/camvid_dist.py'),
            cwd=dict(config='configs/demo/camvid_cwd.py'),
        ),
    )
)
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
