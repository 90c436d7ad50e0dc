# Copyright (c) mmdiffkd contributors.
"""Command lines, environments, and where a run starts from."""

from .words import distil, options, train

CASES = {
    # --- command line
    'option without a value': (
        train(*options('train_cfg.max_epochs')),
        "'train_cfg.max_epochs' is not of the form KEY=VALUE",
    ),
    'option with open brackets': (train(*options('a=[(1,2]')), 'Imbalanced'),
    'option with a slip': (
        train(*options('optim_wraper.a=1')),
        "did you mean 'optim_wrapper'",
    ),
    'option below a number': (
        train(*options('model.backbone.depth.x=1')),
        ('depth', 'student.py'),
    ),
    'unknown flag': (train('--wrk-dir', 'x'), 'unrecognized arguments'),
    'unknown launcher': (train('--launcher', 'cloud'), 'invalid choice'),
    'seed that is no number': (train('--seed', 'one'), 'invalid int'),
    'no config at all': (('train.py', [], {}), 'required: config'),
    'amp with another wrapper': (
        train('--amp', *options('optim_wrapper.type=ApexOptimWrapper')),
        'ApexOptimWrapper',
    ),
    'auto-scale-lr without a base': (
        train('--auto-scale-lr'),
        'auto_scale_lr.base_batch_size',
    ),
    # --- environment
    'launcher that did not launch': (
        train('--launcher', 'pytorch'),
        'tools/dist_train.sh',
    ),
    'slurm that is not there': (
        train('--launcher', 'slurm'),
        'slurm_train.sh',
    ),
    'mpi that is not there': (train('--launcher', 'mpi'), 'mpirun'),
    'work dir that is a file': (
        ('train.py', ['{student}', '--work-dir', '{tmp}/f'], {'f': 'x'}),
        'f',
    ),
    'work dir below a file': (
        ('train.py', ['{student}', '--work-dir', '{tmp}/f/w'], {'f': 'x'}),
        'f/w',
    ),
    'work dir of another run': (
        train(**{'w/epoch_3.pth': 'precious'}),
        ('{tmp}/w', 'epoch_3.pth', '--resume', '--overwrite', '--work-dir'),
    ),
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
    # --- where to start from
    'absent file to resume': (train('--resume', 'gone.pth'), 'no such file'),
    'no note of the latest': (
        train('--resume', **{'w/epoch_2.pth': ''}),
        '--resume {tmp}/w/epoch_2.pth',
    ),
    'cut file to resume': (
        train('--resume', '{saved}/cut.pth'),
        (r'{saved}/cut.pth.*truncated', r'\d bytes'),
    ),
    'text to resume': (
        train('--resume', '{saved}/text.pth'),
        'not a PyTorch checkpoint',
    ),
    'weights to resume': (
        train('--resume', '{saved}/plain.pth'),
        ('not a training checkpoint', 'load_from'),
    ),
    'absent load_from': (
        train(*options('load_from=gone.pth')),
        r"'gone.pth' does not exist \(config key load_from\)",
    ),
    'cut load_from': (
        train(*options('load_from={saved}/cut.pth')),
        'truncated',
    ),
    'load_from that fits nothing': (
        distil(*options('load_from={saved}/other.pth')),
        'fits no weight of the student',
    ),
    'load_from with foreign objects': (
        distil(*options('load_from={saved}/unsafe.pth')),
        'SimpleNamespace',
    ),
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
    'load_from that is a folder': (
        train(*options('load_from={saved}')),
        "load_from: '{saved}' is a folder; name a file in it",
    ),
    'folder to resume': (
        train('--resume', '{saved}'),
        'is a folder; name a checkpoint in it',
    ),
    'folder of weights of the backbone': (
        train(
            *options(
                'model.backbone.init_cfg.type=Pretrained',
                'model.backbone.init_cfg.checkpoint={saved}',
            )
        ),
        "checkpoint '{saved}' is a folder; name a file in it",
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
}
