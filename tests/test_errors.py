# Copyright (c) mmdiffkd contributors.
"""A catalogue of wrong set-ups, and what each is answered with.

Every entry runs a tool's ``main()``: one ``error: ...`` with the expected
words, exit code 2, no traceback, and no file that was there before changes.
"""

import hashlib
import json
import re
from types import SimpleNamespace

import pytest
import torch
from mistake_words import (
    DISTILLER,
    MAPPING,
    PAIR,
    config,
    distil,
    export,
    options,
    tester,
    train,
)
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from more_mistakes import OTHER_CASES

pytest_plugins = ('test_tools.conftest',)


@pytest.fixture(scope='session')
def saved(tiny, tmp_path_factory):
    """Checkpoints of the tiny distillation config, whole and broken."""
    folder = tmp_path_factory.mktemp('saved')
    cfg = Config.fromfile(tiny.distill)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    state = model.state_dict()
    teacher = model.teacher.state_dict()
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b')))

    def save(name, **content):
        torch.save(content, folder / name)

    save('distilled.pth', meta=meta, state_dict=state)
    save('no_cfg.pth', meta={}, state_dict=state)
    save('program.pth', meta=dict(cfg='import os'), state_dict=state)
    save('plain.pth', meta={}, state_dict=teacher)
    save('teacher.pth', meta={}, state_dict=teacher)
    save('other.pth', state_dict={'fc.weight': torch.zeros(2, 2)})
    save('empty.pth', state_dict={})
    save('teacher_only.pth', state_dict={'teacher.x': torch.zeros(2)})
    save(
        'wide.pth',
        state_dict={**teacher, 'bbox_head.retina_cls.bias': torch.zeros(9)},
    )
    save('no_dict_meta.pth', meta=5, state_dict=state)
    save('no_model.pth', meta=dict(cfg='a = 1'), state_dict=state)
    save(
        'no_student.pth',
        state_dict=state,
        meta=dict(cfg='model = dict(architecture=None)'),
    )
    save('odd_ema.pth', meta=meta, state_dict=state, ema_state_dict=5)
    save('odd_keys.pth', meta=meta, state_dict={1: torch.zeros(2)})
    save('unsafe.pth', meta=meta, state_dict=state, extra=SimpleNamespace())
    cut = dict(teacher)
    cut.pop('neck.fpn_convs.0.conv.weight')
    save('part.pth', state_dict=cut)
    wide = dict(teacher)
    wide['bbox_head.retina_cls.bias'] = torch.zeros(9)
    save('shape.pth', state_dict=wide)
    hub = dict(
        meta=dict(epoch=1, iter=4),
        message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={}),
    )
    save('of_distillation.pth', state_dict=state, **hub)
    momentum = dict(
        params=list(range(len(list(model.teacher.parameters())))),
        lr=0.1,
        alpha=0.9,
    )
    save(
        'of_rmsprop.pth',
        state_dict=teacher,
        optimizer=dict(state={}, param_groups=[momentum]),
        **hub,
    )
    whole = (folder / 'distilled.pth').read_bytes()
    (folder / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    (folder / 'zero.pth').write_bytes(b'')
    (folder / 'text.pth').write_text('hello')
    torch.save([1], folder / 'list.pth')
    return folder


def fingerprints(*folders):
    """What every file below some folders is like."""
    return {
        path: (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for folder in folders
        for path in folder.rglob('*')
        if path.is_file()
    }


CASES = {
    # --- config files
    'absent config': (
        ('train.py', ['{tmp}/gone.py'], {}),
        'gone.py.*does not exist',
    ),
    'a folder as config': (('train.py', ['{tmp}'], {}), 'does not exist'),
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
    'absent base': (config("_base_ = 'gone.py'", base=None), 'gone.py'),
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
    'unknown neck': (train(*options('model.neck.type=FPM')), "'FPN'"),
    'unknown argument': (
        train(*options('model.bbox_head.stacked_conv=2')),
        "did you mean 'stacked_convs'",
    ),
    'unknown argument of the loop': (
        train(*options('train_cfg.max_epoch=1')),
        "mean 'max_epochs'",
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
    # --- command line
    'option without a value': (
        train(*options('train_cfg.max_epochs')),
        'KEY=VALUE',
    ),
    'option with open brackets': (train(*options('a=[(1,2]')), 'Imbalanced'),
    'option with a slip': (
        train(*options('optim_wraper.a=1')),
        "did you mean 'optim_wrapper'",
    ),
    'option below a number': (
        train(*options('model.backbone.depth.x=1')),
        'depth',
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
        'base_batch_size',
    ),
    # --- environment
    'launcher that did not launch': (
        train('--launcher', 'pytorch'),
        'dist_train.sh',
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
        '--overwrite',
    ),
    # --- where to start from
    'absent file to resume': (train('--resume', 'gone.pth'), 'no such file'),
    'cut file to resume': (
        train('--resume', '{saved}/cut.pth'),
        r'cut.pth.*truncated',
    ),
    'text to resume': (
        train('--resume', '{saved}/text.pth'),
        'not a PyTorch checkpoint',
    ),
    'weights to resume': (
        train('--resume', '{saved}/plain.pth'),
        'not a training checkpoint',
    ),
    'absent load_from': (
        train(*options('load_from=gone.pth')),
        'config key load_from',
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
    # --- data
    'absent data root': (
        train(*options('train_dataloader.dataset.data_root=/nowhere')),
        'set train_dataloader.dataset.data_root',
    ),
    'absent annotations': (
        train(*options('train_dataloader.dataset.ann_file=no.json')),
        'set train_dataloader.dataset.ann_file',
    ),
    'absent images': (
        train(*options('train_dataloader.dataset.data_prefix.img=no/')),
        'set train_dataloader.dataset.data_prefix.img',
    ),
    'absent annotations of the metric': (
        train(*options('val_evaluator.ann_file=/no.json')),
        'set val_evaluator.ann_file',
    ),
    'annotations that are no json': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{'a.json': '{"images": ['},
        ),
        r'a\.json',
    ),
    'annotations without images': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{
                'a.json': json.dumps(
                    dict(images=[], annotations=[], categories=[])
                )
            },
        ),
        'no image',
    ),
    'images that are missing': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{'i/x.txt': ''},
        ),
        r'i/\d.png',
    ),
    'more classes than the model has': (
        distil(*options('model.architecture.bbox_head.num_classes=1')),
        '2 classes.*num_classes',
    ),
    # --- distiller
    'student source': (
        distil(*options(DISTILLER + 'student_recorders.fpn.source=nec')),
        "student_recorders.fpn.*'nec'.*'neck'",
    ),
    'teacher source': (
        distil(*options(DISTILLER + 'teacher_recorders.fpn.source=nec')),
        "teacher_recorders.fpn.*'nec'.*'neck'",
    ),
    'type of a recorder': (
        distil(*options(DISTILLER + 'student_recorders.fpn.type=ModuleOut')),
        'ModuleOut',
    ),
    'unknown recorder': (
        distil(*options(MAPPING + 'recorder=fpm')),
        "'fpm'.*'fpn'",
    ),
    'unknown connector': (
        distil(*options(MAPPING + 'connector=dif_p3')),
        "'dif_p3'.*'diff_p3'",
    ),
    'unknown side': (
        distil(*options(MAPPING + 'from_student=maybe')),
        'from_student',
    ),
    'unknown key of a record': (
        distil(*options(MAPPING + 'data_id=1')),
        "'data_idx'",
    ),
    'unknown argument of a connector': (
        distil(*options(DISTILLER + 'connectors.diff_p3.recipee=tuned')),
        "'recipe'",
    ),
    'unknown recipe': (
        distil(*options(DISTILLER + 'connectors.diff_p3.recipe=x')),
        "recipe 'x'.*tuned",
    ),
    'channels of the student': (
        distil(*options(DISTILLER + 'connectors.diff_p3.student_channels=8')),
        'student_channels=16',
    ),
    'channels that are no number': (
        distil(
            *options(DISTILLER + 'connectors.diff_p3.student_channels=many')
        ),
        'student_channels',
    ),
    'no channels': (
        distil(*options(DISTILLER + 'connectors.diff_p3.student_channels=0')),
        'student_channels',
    ),
    'level of another size': (
        distil(*options(PAIR + 'data_idx=1')),
        'height or width.*resize',
    ),
    'level that is not there': (
        distil(*options(PAIR + 'data_idx=9')),
        'data_idx=9',
    ),
    'connector that no loss uses': (
        distil(
            *options(
                DISTILLER + 'connectors.extra.type=mmdiffkd.DiffKDConnector',
                DISTILLER + 'connectors.extra.student_channels=16',
                DISTILLER + 'connectors.extra.teacher_channels=16',
            )
        ),
        "'extra'.*never used",
    ),
    'unknown loss': (
        distil(
            *options(
                DISTILLER + 'distill_losses.loss_kd_p3.type=mmrazor.L2Los'
            )
        ),
        "'mmrazor.L2Loss'",
    ),
    'unknown distiller': (
        distil(*options(DISTILLER + 'type=mmdiffkd.DiffKDDistiler')),
        "'mmdiffkd.DiffKDDistiller'",
    ),
    'moment of the stop': (
        config(
            "custom_hooks = [dict(type='mmdiffkd.StopDistillHook')]",
            base='distill',
        ),
        'stop_epoch or stop_iter',
    ),
    'sharded parameters': (
        distil(*options('model_wrapper_cfg.type=MMFullyShardedDataParallel')),
        'MMFullyShardedDataParallel.*MMDistributedDataParallel',
    ),
    'strategy of its own': (
        distil(
            *options(
                'runner_type=FlexibleRunner', 'strategy.type=FSDPStrategy'
            )
        ),
        'FSDPStrategy',
    ),
    # --- teacher
    'teacher without weights': (
        distil(*options('model.allow_random_teacher=False')),
        'model.teacher_ckpt',
    ),
    'absent teacher checkpoint': (
        distil(*options('model.teacher_ckpt=gone.pth')),
        "'gone.pth'",
    ),
    'a folder as teacher checkpoint': (
        distil(*options('model.teacher_ckpt={tmp}')),
        'does not exist',
    ),
    'cut teacher checkpoint': (
        distil(*options('model.teacher_ckpt={saved}/cut.pth')),
        'cannot be read',
    ),
    'empty teacher checkpoint': (
        distil(*options('model.teacher_ckpt={saved}/empty.pth')),
        'holds no weights',
    ),
    'teacher checkpoint with a gap': (
        distil(*options('model.teacher_ckpt={saved}/part.pth')),
        '1 are missing and 0 differ.*fpn_convs',
    ),
    'teacher checkpoint of other classes': (
        distil(*options('model.teacher_ckpt={saved}/shape.pth')),
        '0 are missing and 1 differ.*cfg_options',
    ),
    'absent teacher config': (
        distil(*options('model.teacher.cfg_path=gone.py')),
        'gone.py',
    ),
    'slip in teacher options': (
        config(
            'model = dict(teacher=dict(cfg_options={{'
            "'bbox_head.num_classes': 1}}))",
            base='distill',
        ),
        "did you mean 'model.bbox_head'",
    ),
    # --- testing
    'test: absent checkpoint': (
        tester('{student}', 'gone.pth'),
        "'gone.pth' does not exist",
    ),
    'test: checkpoint that fits nothing': (
        tester('{student}', '{saved}/other.pth'),
        'nothing in checkpoint',
    ),
    'test: checkpoint of a teacher': (
        tester('{distill}', '{saved}/teacher_only.pth'),
        r'teacher.\* \(1\)',
    ),
    'test: cut checkpoint': (
        tester('{student}', '{saved}/cut.pth'),
        'truncated',
    ),
    'test: name of the predictions': (
        tester('{student}', '{saved}/plain.pth', '--out', 'x.json'),
        '.pkl',
    ),
    'test: predictions that exist': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/o.pkl',
            **{'o.pkl': 'precious'},
        ),
        '--overwrite',
    ),
    'test: no augmentation': (
        tester('{student}', '{saved}/plain.pth', '--tta'),
        'tta_model',
    ),
    'test: absent data': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            *options('test_dataloader.dataset.data_root=/nowhere'),
        ),
        'test_dataloader.dataset.data_root',
    ),
    'test: no checkpoint at all': (
        ('test.py', ['{student}'], {}),
        'required: checkpoint',
    ),
    # --- export
    'export: absent': (export('{tmp}/gone.pth'), 'does not exist'),
    'export: empty file': (export('{saved}/zero.pth'), 'truncated'),
    'export: text': (export('{saved}/text.pth'), 'not a PyTorch checkpoint'),
    'export: list': (export('{saved}/list.pth'), 'holds a list'),
    'export: no weights': (export('{saved}/empty.pth'), 'holds no weights'),
    'export: cut': (export('{saved}/cut.pth'), 'truncated'),
    'export: teacher alone': (
        export('{saved}/teacher_only.pth'),
        'no student weights',
    ),
    'export: plain already': (export('{saved}/plain.pth'), 'plain student'),
    'export: no config inside': (export('{saved}/no_cfg.pth'), '--config'),
    'export: a program inside': (
        export('{saved}/program.pth'),
        '--trust-checkpoint',
    ),
    'export: foreign objects': (
        export('{saved}/unsafe.pth'),
        'SimpleNamespace.*--trust-checkpoint',
    ),
    'export: no averages': (
        export('{saved}/distilled.pth', '--ema'),
        'no averaged weights',
    ),
    'export: file that exists': (
        export(
            '{saved}/distilled.pth', '{tmp}/s.pth', **{'s.pth': 'precious'}
        ),
        '--overwrite',
    ),
    'export: config that does not fit': (
        export(
            '{saved}/distilled.pth',
            '{tmp}/o.pth',
            '--config',
            '{tmp}/c.py',
            **{
                'c.py': "_base_ = '{student}'\nmodel = dict("
                'bbox_head=dict(num_classes=7))'
            },
        ),
        'retina_cls',
    ),
    'export: output below a file': (
        export('{saved}/distilled.pth', '{tmp}/f/s.pth', f='x'),
        'f/s.pth',
    ),
}
CASES.update(OTHER_CASES)
ENVIRONMENT = (
    'RANK',
    'WORLD_SIZE',
    'LOCAL_RANK',
    'MASTER_ADDR',
    'MASTER_PORT',
    'SLURM_PROCID',
    'SLURM_NTASKS',
    'SLURM_NODELIST',
    'OMPI_COMM_WORLD_LOCAL_RANK',
)


def fill(text, places):
    for name, value in places.items():
        text = text.replace('{' + name + '}', str(value))
    return text.replace('{{', '{').replace('}}', '}')


@pytest.mark.parametrize(
    'case',
    [
        # Those that build a teacher take longer.
        pytest.param(name, marks=pytest.mark.slow)
        if '{distill}' in str(CASES[name])
        else name
        for name in CASES
    ],
)
def test_catalogue(case, tool, tiny, saved, tmp_path, monkeypatch):
    (script, words, files), expected = CASES[case]
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        if name in files:
            monkeypatch.setenv(name, files[name])
    places = dict(
        tmp=tmp_path, saved=saved, student=tiny.student, distill=tiny.distill
    )
    for name, text in files.items():
        if name in ENVIRONMENT:
            continue
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(fill(text, places))
    before = fingerprints(tmp_path, saved, tiny.folder)
    result = tool(script, *(fill(word, places) for word in words))
    assert result.code == 2, result.err[-3000:]
    assert 'Traceback' not in result.err
    assert len(re.findall(r'error: ', result.err)) == 1, result.err
    message = result.err[result.err.index('error: ') :]
    assert re.search(f'(?s){expected}', message), message
    after = fingerprints(tmp_path, saved, tiny.folder)
    changed = [path for path in before if after.get(path) != before[path]]
    assert not changed


def test_catalogue_is_long_enough():
    assert len(CASES) >= 60
