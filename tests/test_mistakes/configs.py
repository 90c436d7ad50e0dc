# Copyright (c) mmdiffkd contributors.
"""Config files and their settings."""

from .words import DISTILLER, config, distil, options, train

DIFF = DISTILLER + 'connectors.diff_p3.'
CASES = {
    # --- config files
    'absent config': (
        ('train.py', ['{tmp}/gone.py'], {}),
        'gone.py.*does not exist',
    ),
    'config with a slip in its name': (
        ('train.py', ['{tmp}/studnet.py'], {'student.py': 'a = 1'}),
        "studnet.py.*does not exist.*did you mean '{tmp}/student.py'",
    ),
    'a folder as config': (('train.py', ['{tmp}'], {}), 'is a folder; name'),
    'config of unknown kind': (
        ('train.py', ['{tmp}/c.txt'], {'c.txt': 'a = 1'}),
        r'c\.txt',
    ),
    'broken json': (
        ('train.py', ['{tmp}/c.json'], {'c.json': '{"a": '}),
        r'c\.json',
    ),
    'syntax error': (config('a = (1,\n', base=None), 'c.py, line 1'),
    'undefined name': (config('b = nothing\n'), 'line 2.*nothing'),
    'undefined name in a base': (
        (
            'train.py',
            ['{tmp}/child.py'],
            {
                'base.py': 'a = 1\n\nb = undefined_name\n',
                'child.py': "_base_ = 'base.py'\n",
            },
        ),
        ('{tmp}/base.py, line 3', 'undefined_name'),
    ),
    'absent base': (
        config("_base_ = 'gone.py'", base=None),
        ('gone.py', 'c.py'),
    ),
    'base that is its own': (config("_base_ = 'c.py'", base=None), r'c\.py'),
    'bases with a key in common': (
        config("_base_ = ['{student}', '{student}']", base=None),
        'Duplicate key',
    ),
    'absent library of a base': (
        config("_base_ = 'mmnothing::a.py'", base=None),
        'mmnothing',
    ),
    'absent custom import': (
        config("custom_imports = dict(imports=['no_such_module_x'])"),
        'no_such_module_x',
    ),
    'no model': (config('a = 1', base=None), 'model'),
    'model that is no dict': (
        config("model = 'RetinaNet'", base=None),
        'model',
    ),
    'no training data': (
        config('train_dataloader = None'),
        'train_dataloader',
    ),
    'no optimizer': (config('optim_wrapper = None'), 'optim_wrapper'),
    'unknown loop': (
        train(*options('train_cfg.type=NoLoop')),
        'NoLoop.*registry',
    ),
    'unknown model': (
        train(*options('model.type=RetinaNett')),
        "did you mean 'RetinaNet'",
    ),
    'unknown model with a scope': (
        train(*options('model.type=mmdet.RetinaNett')),
        "did you mean 'mmdet.RetinaNet'",
    ),
    'missing argument': (
        config(
            "model = dict(neck=dict(_delete_=True, type='FPN', num_outs=3,"
            ' in_channels=[16, 32, 64]))'
        ),
        ("FPN needs 'out_channels'", 'config key model.neck'),
    ),
    'unknown hook without any close name': (
        train(*options('default_hooks.timer.type=Qqqqq')),
        ("'Qqqqq' is not in the mm[a-z]+::hook registry", 'custom_imports'),
    ),
    'unknown neck': (
        train(*options('model.neck.type=FPM')),
        (
            "'FPM' is not in the mmdet::model registry",
            "'FPN'",
            'config key model.neck.type',
        ),
    ),
    'unknown argument': (
        train(*options('model.bbox_head.stacked_conv=2')),
        (
            "RetinaHead does not take 'stacked_conv'",
            'config key model.bbox_head',
            "did you mean 'stacked_convs'",
            'feat_channels',  # those of its base class, too
        ),
    ),
    'unknown argument of the loop': (
        train(*options('train_cfg.max_epoch=1')),
        "EpochBasedTrainLoop does not take 'max_epoch'.*mean 'max_epochs'",
    ),
    'unknown argument of a loop that MMEngine chooses': (
        config(
            'train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=1,'
            ' max_epoch=1)'
        ),
        r"EpochBasedTrainLoop does not take 'max_epoch' \(config key "
        r"train_cfg\); did you mean 'max_epochs'",
    ),
    'unknown argument of the loop of iterations': (
        config('train_cfg = dict(_delete_=True, by_epoch=False, max_iter=1)'),
        r"IterBasedTrainLoop does not take 'max_iter' \(config key "
        r"train_cfg\); did you mean 'max_iters'",
    ),
    'unknown hook': (
        config("custom_hooks = [dict(type='EMAHok')]"),
        "'EMAHook'",
    ),
    'unknown optimizer': (
        train(*options('optim_wrapper.optimizer.type=SDG')),
        "'SGD'",
    ),
    'unknown transform': (
        config(
            'train_dataloader = dict(dataset=dict(pipeline=['
            "dict(type='LoadImagFromFile')]))"
        ),
        "'LoadImageFromFile'",
    ),
    'unknown dataset': (
        train(*options('train_dataloader.dataset.type=CocoDatset')),
        "'CocoDataset'",
    ),
    'unknown scope': (train(*options('default_scope=mmdett')), 'mmdett'),
    'unknown part of reliable': (
        distil(*options('reliable.sanety=False')),
        "'sanity'",
    ),
    'reliable of a wrong kind': (distil(*options('reliable=3')), 'reliable'),
    # --- settings that MMEngine would take, or answer by a traceback
    'no epochs': (train(*options('train_cfg.max_epochs=0')), 'max_epochs'),
    'epochs in words': (
        train(*options('train_cfg.max_epochs=two')),
        'max_epochs',
    ),
    'batch of nothing': (
        train(*options('train_dataloader.batch_size=0')),
        'batch_size',
    ),
    'batch of None': (
        train(*options('train_dataloader.batch_size=None')),
        'batch_size',
    ),
    'workers below none': (
        train(*options('train_dataloader.num_workers=-1')),
        'dataloader.*num_workers',
    ),
    'persistent workers without workers': (
        train(*options('train_dataloader.persistent_workers=True')),
        'dataloader.*persistent_workers option needs num_workers',
    ),
    'unknown argument of the loader': (
        train(*options('train_dataloader.bath_size=2')),
        'bath_size',
    ),
    'learning rate below zero': (
        train(*options('optim_wrapper.optimizer.lr=-1')),
        'SGD cannot be built.*learning rate: -1',
    ),
    'learning rate in words': (
        train(*options('optim_wrapper.optimizer.lr=abc')),
        "SGD.*'lr': 'abc'",
    ),
    'depth that does not exist': (
        train(*options('model.backbone.depth=17')),
        'config key model.backbone.*depth 17',
    ),
    'channels of the normalisation': (
        train(*options('model.data_preprocessor.mean=[1,2]')),
        'mean',
    ),
    'class count in words': (
        train(*options('model.bbox_head.num_classes=two')),
        'config key model.bbox_head',
    ),
    'levels of the neck': (
        train(*options('model.neck.in_channels=[16,32]')),
        'first training iteration fails in FPN',
    ),
    'channels of the neck': (
        train(*options('model.neck.in_channels=[16,32,65]')),
        'first training iteration.*65 channels',
    ),
    'validation without data': (
        train(*options('val_dataloader=None')),
        'val_dataloader=None',
    ),
    'hooks that are a dict': (
        config("custom_hooks = dict(type='EMAHook')"),
        'custom_hooks',
    ),
    'hooks that are words': (
        config("custom_hooks = ['EMAHook']"),
        'custom_hooks',
    ),
    'default hook that is a number': (
        train(*options('default_hooks.logger=5')),
        'hook.*5',
    ),
    'schedule that ends before it begins': (
        config(
            "param_scheduler = [dict(type='LinearLR', start_factor=0.1, "
            'begin=5, end=1)]'
        ),
        'LinearLR.*end should be larger',
    ),
    'seed below zero': (train('--seed', '-1'), 'seed.*-1'),
    'seed too large': (train('--seed', '99999999999'), 'seed'),
    'randomness that is a number': (
        train(*options('randomness=5')),
        'randomness|mapping',
    ),
    'unknown log level': (train(*options('log_level=LOUD')), 'LOUD'),
    'unknown start method': (
        train(*options('env_cfg.mp_cfg.mp_start_method=forkk')),
        'forkk',
    ),
    'unknown SyncBN': (train(*options('sync_bn=xyz')), 'sync_bn'),
    'unknown runner': (train(*options('runner_type=NoRunner')), 'NoRunner'),
    'base batch of zero': (
        train('--auto-scale-lr', *options('auto_scale_lr.base_batch_size=0')),
        'auto_scale_lr',
    ),
    'averaging out of range': (
        config("custom_hooks = [dict(type='EMAHook', momentum=2)]"),
        'momentum',
    ),
    'unknown signal': (
        config(
            "custom_hooks = [dict(type='mmdiffkd.PreemptionHook', "
            "signals=['SIGFOO'])]"
        ),
        'PreemptionHook: signals',
    ),
    'signal that nobody can catch': (
        config(
            "custom_hooks = [dict(type='mmdiffkd.PreemptionHook', "
            "signals=['SIGKILL'])]"
        ),
        'PreemptionHook: signals',
    ),
    'interval of nothing': (
        config(
            "custom_hooks = [dict(type='mmdiffkd.PreemptionHook', interval=0)]"
        ),
        'PreemptionHook: interval',
    ),
    'no student': (
        distil(*options('model.architecture=None')),
        'model.architecture',
    ),
    'no teacher': (distil(*options('model.teacher=None')), 'model.teacher'),
    'normalisation beside the student': (
        distil(*options('model.data_preprocessor.mean=[1,2,3]')),
        'model.architecture.data_preprocessor',
    ),
    'empty teacher checkpoint': (
        distil(*options('model.teacher_ckpt={tmp}/t.pth'), **{'t.pth': ''}),
        'truncated',
    ),
    'teacher checkpoint with objects': (
        distil(*options('model.teacher_ckpt={saved}/unsafe.pth')),
        'SimpleNamespace.*--trust-checkpoint',
    ),
    'negative groups': (
        distil(
            *options(
                DIFF + 'norm_cfg.type=GN', DIFF + 'norm_cfg.num_groups=-3'
            )
        ),
        'num_groups must be a positive integer',
    ),
    'no groups': (
        distil(
            *options(DIFF + 'norm_cfg.type=GN', DIFF + 'norm_cfg.num_groups=0')
        ),
        'num_groups must be a positive integer',
    ),
    'norm without a factor': (
        distil(
            *options(DIFF + 'norm_cfg.type=BN', DIFF + 'norm_cfg.affine=False')
        ),
        'zero_init',
    ),
    'half a step': (
        distil(*options(DIFF + 'sampler.num_inference_steps=2.5')),
        'num_inference_steps.*2.5',
    ),
    'start in words': (
        distil(*options(DIFF + 'sampler.start_timestep=a')),
        'start_timestep',
    ),
    'negative seed': (
        distil(*options(DIFF + 'seed=-1')),
        'seed must not be negative',
    ),
    'negative weight': (
        distil(*options(DIFF + 'diffusion_loss_weight=-1')),
        'diffusion_loss_weight must not be negative',
    ),
    'denoiser that never learns': (
        distil(*options(DIFF + 'diffusion_loss_weight=0')),
        'denoiser of connector.*diffusion_loss_weight',
    ),
    'teacher checkpoint that is a number': (
        distil(*options('model.teacher_ckpt=5')),
        'model.teacher_ckpt',
    ),
    'no teacher config': (
        distil(*options('model.teacher.cfg_path=None')),
        'cfg_path',
    ),
    'empty work dir': (
        ('train.py', ['{student}', '--work-dir', ''], {}),
        "--work-dir.*''",
    ),
}
