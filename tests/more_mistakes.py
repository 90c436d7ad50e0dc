# Copyright (c) mmdiffkd contributors.
"""Mistakes that a library would answer by a traceback, or not at all."""

import json

from mistake_words import (
    DISTILLER,
    config,
    distil,
    export,
    options,
    tester,
    train,
)

DIFF = DISTILLER + 'connectors.diff_p3.'

OTHER_CASES = {
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
    # --- where to start from
    'address that does not answer': (
        train(*options('load_from=http://127.0.0.1:9/x.pth')),
        'cannot be downloaded',
    ),
    'address to resume': (
        train('--resume', 'http://127.0.0.1:9/x.pth'),
        'cannot be downloaded',
    ),
    'unknown torchvision model': (
        train(
            *options(
                'model.backbone.init_cfg.type=Pretrained',
                'model.backbone.init_cfg.checkpoint=torchvision://resnet19',
            )
        ),
        'resnet19',
    ),
    'load_from that is a number': (
        train(*options('load_from=3')),
        'config key load_from',
    ),
    'load_from of another model': (
        train(*options('load_from={saved}/other.pth')),
        'fits no weight of the model',
    ),
    'load_from without weights': (
        train(*options('load_from={saved}/empty.pth')),
        'holds no weights',
    ),
    'resume of another model': (
        train('--resume', '{saved}/of_distillation.pth'),
        'cannot be resumed with this config',
    ),
    'resume with another optimizer': (
        train('--resume', '{saved}/of_rmsprop.pth'),
        'another optimizer than the SGD',
    ),
    # --- environment
    'rank that is no number': (
        train('--launcher', 'pytorch', RANK='x'),
        'RANK must be a number',
    ),
    'launcher that forgot the size': (
        train('--launcher', 'pytorch', RANK='0'),
        'WORLD_SIZE',
    ),
    'port that is no number': (
        train(
            '--launcher',
            'pytorch',
            RANK='0',
            WORLD_SIZE='1',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT='abc',
        ),
        'MASTER_PORT',
    ),
    'slurm without tasks': (
        train('--launcher', 'slurm', SLURM_PROCID='0'),
        'SLURM_NTASKS',
    ),
    'slurm without nodes': (
        train('--launcher', 'slurm', SLURM_PROCID='0', SLURM_NTASKS='1'),
        'SLURM_NODELIST',
    ),
    'local rank that is no number': (train(LOCAL_RANK='x'), 'LOCAL_RANK'),
    # --- data
    'images that are text': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{f'i/{i}.png': 'no image' for i in range(8)},
        ),
        r'i/\d.png.*no image',
    ),
    'images that are empty': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{f'i/{i}.png': '' for i in range(8)},
        ),
        r'i/\d.png.*empty',
    ),
    'annotations that are a list': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{'a.json': '[1]'},
        ),
        r'CocoDataset of .*a\.json',
    ),
    'annotations that are a folder': (
        train(*options('train_dataloader.dataset.ann_file={tmp}')),
        'directory',
    ),
    'annotations without boxes': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{
                'a.json': json.dumps(
                    dict(
                        images=[
                            dict(id=0, file_name='0.png', height=64, width=64)
                        ],
                        annotations=[
                            dict(
                                id=1,
                                image_id=0,
                                category_id=1,
                                area=9,
                                iscrowd=0,
                            )
                        ],
                        categories=[dict(id=1, name='red')],
                    )
                )
            },
        ),
        'bbox',
    ),
    'pipeline that packs nothing': (
        config(
            'train_dataloader = dict(dataset=dict(pipeline='
            "[dict(type='LoadImageFromFile')]))"
        ),
        'inputs',
    ),
    # --- testing
    'test: list as checkpoint': (
        tester('{student}', '{saved}/list.pth'),
        'holds a list',
    ),
    'test: other classes': (
        tester('{student}', '{saved}/wide.pth'),
        'another shape.*retina_cls',
    ),
    'test: folder of the predictions': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/f/x.pkl',
            f='x',
        ),
        'f.*is a file',
    ),
    'test: predictions that are a folder': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/x.pkl',
            '--overwrite',
            **{'x.pkl/a': 'x'},
        ),
        'is a folder',
    ),
    'test: pictures into a file': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--show-dir',
            '{tmp}/f',
            f='x',
        ),
        '--show-dir',
    ),
    'test: work dir that is a file': (
        (
            'test.py',
            ['{student}', '{saved}/plain.pth', '--work-dir', '{tmp}/f'],
            {'f': 'x'},
        ),
        '--work-dir',
    ),
    'test: unknown metric': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            *options('test_evaluator.metric=segmm'),
        ),
        'CocoMetric.*segmm',
    ),
    # --- export
    'export: odd meta': (export('{saved}/no_dict_meta.pth'), '--config'),
    'export: config without a model': (
        export('{saved}/no_model.pth'),
        'no model of a student',
    ),
    'export: config without a student': (
        export('{saved}/no_student.pth'),
        'no model of a student',
    ),
    'export: odd averages': (export('{saved}/odd_ema.pth'), 'no weights'),
    'export: odd names': (export('{saved}/odd_keys.pth'), 'no weights'),
    'export: onto itself': (
        export(
            '{saved}/distilled.pth', '{saved}/distilled.pth', '--overwrite'
        ),
        'itself',
    ),
    'export: unknown library': (
        export(
            '{saved}/distilled.pth',
            '{tmp}/o.pth',
            '--config',
            '{tmp}/c.py',
            **{'c.py': "_base_ = '{student}'\ndefault_scope = 'mmdett'"},
        ),
        'mmdett',
    ),
    # --- the other tools
    'soak: no training': (
        ('analysis_tools/soak.py', ['{tmp}/c.py'], {'c.py': 'a = 1'}),
        'model',
    ),
    'demo: output that is a file': (
        ('make_demo_data.py', ['--out', '{tmp}/f'], {'f': 'x'}),
        'f',
    ),
    'demo: output below a file': (
        ('make_demo_data.py', ['--out', '{tmp}/f/g'], {'f': 'x'}),
        'f/g',
    ),
    'demo: odd manifest': (
        ('make_demo_data.py', ['--out', '{tmp}'], {'det/demo_set.json': '[]'}),
        'damaged',
    ),
    'report: no data': (
        (
            'analysis_tools/quickstart_report.py',
            ['{tmp}', '--data', '{tmp}'],
            {'teacher/x': '', 'test/x': ''},
        ),
        'instances_test.json',
    ),
    'summary: cut report': (
        (
            'analysis_tools/quickstart_summary.py',
            ['det={tmp}'],
            {'report.json': '{ '},
        ),
        'report.json',
    ),
    'summary: report of nothing': (
        (
            'analysis_tools/quickstart_summary.py',
            ['det={tmp}'],
            {'report.json': '{ }'},
        ),
        'report.json',
    ),
}
