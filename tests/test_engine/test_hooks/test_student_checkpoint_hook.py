# Copyright (c) mmdiffkd contributors.
"""Plain student files, in the hands of the stock libraries."""

import builtins
import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import task_toys
from helpers.small_runs import config, run
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmdiffkd.engine.hooks import StudentCheckpointHook

HOOK = dict(type='mmdiffkd.StudentCheckpointHook')
EMA = dict(type='EMAHook', momentum=0.3)


def read(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def states_equal(a, b):
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


def part(path, prefix='architecture.'):
    """The student's part of a training checkpoint."""
    state = read(path)['state_dict']
    return {
        key[len(prefix) :]: value
        for key, value in state.items()
        if key.startswith(prefix)
    }


def written_config(content):
    return Config.fromstring(content['meta']['cfg'], '.py').to_dict()


@HOOKS.register_module(force=True)
class ReadAtEachSave(Hook):
    """Compare the student's file with the checkpoint that it follows."""

    priority = 'LOWEST'
    equal = []

    def after_train_epoch(self, runner):
        folder = runner.work_dir
        path = f'{folder}/epoch_{runner.epoch + 1}.pth'
        if os.path.exists(path):
            self.equal.append(
                states_equal(
                    read(f'{folder}/student_last.pth')['state_dict'],
                    part(path),
                )
            )


@pytest.fixture(scope='module')
def averaged(tmp_path_factory):
    ReadAtEachSave.equal.clear()
    folder = tmp_path_factory.mktemp('averaged')
    runner = run(
        folder,
        epochs=3,
        hooks=[HOOK, EMA, dict(type='ReadAtEachSave')],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2)),
    )
    return folder, runner


def test_last_follows_the_training_checkpoints_with_averages(averaged):
    folder, runner = averaged
    # Of epochs 2 and 3 (the last): three names could be equal by chance.
    assert ReadAtEachSave.equal == [True, True]
    raw = {
        k: v
        for k, v in runner.model.state_dict().items()
        if k.startswith('architecture.')
    }
    assert not states_equal(
        read(folder / 'student_last.pth')['state_dict'],
        {k[len('architecture.') :]: v for k, v in raw.items()},
    )


def test_content(averaged):
    folder, _ = averaged
    content = read(folder / 'student_last.pth')
    assert set(content) == {'meta', 'state_dict'}
    meta = content['meta']
    assert meta['dataset_meta']['classes'] == task_toys.CLASSES
    assert (meta['epoch'], meta['iter']) == (3, 9)
    for word in ('mmrazor', 'architecture', 'teacher', 'distill', 'work_dir'):
        assert word not in meta['cfg'], word
    assert not list(folder.glob('*.tmp'))
    assert len(list(folder.glob('student*'))) == 2


def test_the_export_tool_writes_the_same(averaged, tmp_path):
    from mmdiffkd.utils.checkpoints.export import export_student

    folder, _ = averaged
    path = export_student(str(folder / 'epoch_3.pth'), str(tmp_path)).path
    ours, theirs = read(folder / 'student_last.pth'), read(path)
    assert states_equal(ours['state_dict'], theirs['state_dict'])
    assert written_config(ours) == written_config(theirs)
    assert ours['meta']['dataset_meta'] == theirs['meta']['dataset_meta']


def test_without_training_checkpoints_the_end_is_kept(tmp_path):
    runner = run(
        tmp_path,
        hooks=[HOOK],
        iters=2,
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook',
                by_epoch=False,
                interval=99,
                save_last=False,
            )
        ),
    )
    assert not list(tmp_path.glob('iter*'))
    assert states_equal(
        read(tmp_path / 'student_last.pth')['state_dict'],
        dict(runner.model.student.state_dict()),
    )


def test_a_run_killed_while_it_writes_the_config_keeps_the_old_one(tmp_path):
    runner = run(tmp_path, hooks=[HOOK], epochs=1)
    (hook,) = (h for h in runner.hooks if isinstance(h, StudentCheckpointHook))
    path = tmp_path / 'student_last.py'
    whole = path.read_text()
    # As if there were a newer training checkpoint to follow.
    runner.message_hub.update_info('last_ckpt', 'another')
    child = os.fork()
    if child == 0:
        plain_open = open

        def open_and_die(name, mode='r', *args, **kwargs):
            file = plain_open(name, mode, *args, **kwargs)
            if 'student_last.py' in str(name) and 'w' in mode:
                file.write(whole[: len(whole) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return file

        builtins.open = open_and_die
        try:
            hook.after_train_epoch(runner)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert path.read_text() == whole
    assert Config.fromfile(path).load_from == f'{tmp_path}/student_last.pth'


@HOOKS.register_module(force=True)
class PretendToValidate(Hook):
    """Scores 1, 3, 2 after three iterations, as a validation loop would."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, *args, **kwargs):
        score = {'top/accuracy': [1.0, 3.0, 2.0][runner.iter]}
        for hook in runner.hooks:
            if isinstance(hook, (CheckpointHook, StudentCheckpointHook)):
                hook.after_val_epoch(runner, metrics=score)


def test_best_follows_the_best_checkpoint(tmp_path):
    run(
        tmp_path,
        iters=3,
        hooks=[HOOK, dict(type='PretendToValidate')],
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook',
                by_epoch=False,
                interval=1,
                save_best='top/accuracy',
            )
        ),
    )
    (best,) = tmp_path.glob('best_*.pth')
    ours = read(tmp_path / 'student_best.pth')['state_dict']
    assert states_equal(ours, part(best))
    assert not states_equal(
        ours, read(tmp_path / 'student_last.pth')['state_dict']
    )


def test_training_is_the_same_with_and_without(tmp_path):
    models = [
        run(tmp_path / name, hooks=hooks).model.state_dict()
        for name, hooks in (('with', [HOOK]), ('without', []))
    ]
    assert states_equal(*models)


STOCK = """
import sys, json, torch
folder, image = sys.argv[1:]
def strict(model, file):
    state = torch.load(file, weights_only=True)['state_dict']
    print(type(model).__name__, model.load_state_dict(state, strict=True))
det, seg, cls = (f'{folder}/{t}/student_last' for t in ('det', 'seg', 'cls'))
from mmpretrain.apis import ImageClassificationInferencer
classifier = ImageClassificationInferencer(f'{cls}.py', device='cpu')
strict(classifier.model, f'{cls}.pth')
print(classifier(image)[0]['pred_class'])
from mmseg.apis import MMSegInferencer
segmentor = MMSegInferencer(None, weights=f'{seg}.pth', device='cpu')
strict(segmentor.model, f'{seg}.pth')
print(segmentor(image)['predictions'].shape)
from mmdet.apis import DetInferencer
detector = DetInferencer(weights=f'{det}.pth', device='cpu')
strict(detector.model, f'{det}.pth')
print(len(detector(image, no_save_vis=True)['predictions'][0]['labels']))
assert not {'mmdiffkd', 'mmrazor'} & set(sys.modules)
print(json.dumps([float(classifier.model.head.fc.weight.sum()),
                  segmentor.model.dataset_meta['classes'],
                  detector.model.dataset_meta['classes']]))
"""
PIPELINES = dict(
    det=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(
            type='PackDetInputs',
            meta_keys=(
                'img_id',
                'img_path',
                'ori_shape',
                'img_shape',
                'scale_factor',
            ),
        ),
    ],
    seg=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(type='PackSegInputs'),
    ],
    cls=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=64),
        dict(type='PackInputs'),
    ],
)


@pytest.mark.slow
def test_stock_inferencers_need_nothing_else(tmp_path):
    runners = {}
    for task in task_toys.TASKS:
        kind = dict(
            det='DetLocalVisualizer',
            seg='SegLocalVisualizer',
            cls='UniversalVisualizer',
        )[task]
        cfg = config(
            tmp_path / 'first' / task,
            task=task,
            iters=1,
            hooks=[HOOK],
            visualizer=dict(type=kind, name=f'{task}_visualizer'),
        )
        runner = Runner.from_cfg(cfg)
        # What the inferencers read; it is not run here.
        runner.cfg.test_dataloader = dict(
            batch_size=1,
            dataset=dict(
                type='CocoDataset',
                metainfo=dict(classes=task_toys.CLASSES),
                pipeline=PIPELINES[task],
            ),
        )
        runner.train()
        runners[task] = runner
    # The files may be moved.
    (tmp_path / 'first').rename(tmp_path / 'second')
    image = tmp_path / 'image.png'
    cv2.imwrite(str(image), np.full((64, 64, 3), 77, np.uint8))
    result = subprocess.run(
        [sys.executable, '-c', STOCK, str(tmp_path / 'second'), str(image)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=540,
        env=dict(os.environ, CUDA_VISIBLE_DEVICES='', PYTHONPATH=''),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    text = result.stdout + result.stderr
    assert text.count('All keys matched successfully') == 3
    assert 'do not match' not in text and 'unexpected key' not in text
    total, *classes = json.loads(result.stdout.strip().splitlines()[-1])
    fc = runners['cls'].model.student.head.fc.weight.detach()
    assert total == pytest.approx(float(fc.sum()), rel=1e-5)
    assert all(tuple(names) == task_toys.CLASSES for names in classes)


def test_mmrazors_own_checkpoints(tmp_path):
    """With the teacher inside; the hook, and the export of the file."""
    from mmdiffkd.utils.checkpoints.export import export_student

    model = task_toys.algorithm('cls')
    model.pop('allow_random_teacher')
    model.update(type='mmrazor.SingleTeacherDistill')
    runner = run(
        tmp_path, task='cls', model=model, epochs=1, hooks=[HOOK, EMA]
    )
    source = tmp_path / 'epoch_1.pth'
    assert any(k.startswith('teacher.') for k in read(source)['state_dict'])
    path = export_student(str(source), str(tmp_path / 'out.pth')).path
    ours = read(tmp_path / 'student_last.pth')['state_dict']
    assert states_equal(ours, read(path)['state_dict'])
    (average,) = (h for h in runner.hooks if hasattr(h, 'ema_model'))
    expected = average.ema_model.module.architecture.state_dict()
    assert states_equal(ours, dict(expected))


def test_a_student_file_starts_another_run(tmp_path):
    run(tmp_path / 'a', task='cls', epochs=1, hooks=[HOOK])
    frozen = dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0), clip_grad=None
    )
    runner = run(
        tmp_path / 'b',
        task='cls',
        epochs=1,
        optim_wrapper=frozen,
        load_from=str(tmp_path / 'a' / 'student_last.pth'),
    )
    start = read(tmp_path / 'a' / 'student_last.pth')['state_dict']
    for name, value in runner.model.student.named_parameters():
        assert torch.equal(value, start[name]), name
