# Copyright (c) mmdiffkd contributors.
"""The exported student: its content, and what is refused."""

import json
import os
import stat
import subprocess
import sys

import pytest
import torch

EXPORT = 'model_converters/export_student.py'

# Stock MMDetection alone: the file itself has to say everything.
INFER = """
import sys
from mmdet.apis import DetInferencer
inferencer = DetInferencer(weights=sys.argv[1], device='cpu')
result = inferencer(sys.argv[2], no_save_vis=True, return_datasamples=True)
sample = result['predictions'][0]
assert 'mmdiffkd' not in sys.modules and 'mmrazor' not in sys.modules
assert inferencer.model.dataset_meta['classes'] == ('red', 'blue')
print(sample.pred_instances.scores.tolist())
"""


@pytest.fixture(scope='module')
def checkpoint(distilled):
    return str(distilled / 'epoch_1.pth')


def read(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def save(path, **content):
    torch.save(content, path)
    return path


def test_exported_file_opens_in_stock_inferencer(
    tool, tiny, checkpoint, tmp_path
):
    out = tmp_path / 'student.pth'
    result = tool(EXPORT, checkpoint, out)
    assert result.code == 0, result.err
    env = dict(os.environ, CUDA_VISIBLE_DEVICES='', PYTHONPATH='')
    run = subprocess.run(
        [sys.executable, '-c', INFER, str(out), tiny.image],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(json.loads(run.stdout.strip().split('\n')[-1])) == 5
    assert 'do not match' not in run.stdout + run.stderr


def test_content_of_the_exported_file(tool, checkpoint, tmp_path):
    out = tmp_path / 'student.pth'
    assert tool(EXPORT, checkpoint, out).code == 0
    source, student = read(checkpoint), read(out)
    assert set(student) == {'meta', 'state_dict'}
    expected = {
        key[len('architecture.') :]: value
        for key, value in source['state_dict'].items()
        if key.startswith('architecture.')
    }
    assert list(student['state_dict']) == list(expected)
    for key, value in expected.items():
        assert torch.equal(student['state_dict'][key], value)
    meta = student['meta']
    assert meta['epoch'] == 1 and meta['iter'] == 4
    assert meta['dataset_meta']['classes'] == ('red', 'blue')
    assert meta['mmengine_version'] and meta['mmdet_version']
    for word in ('mmdiffkd', 'mmrazor', 'architecture', 'teacher', 'distill'):
        assert word not in meta['cfg'], word
    mode = stat.S_IMODE(out.stat().st_mode)
    assert mode & stat.S_IRUSR and not mode & stat.S_IXUSR


def test_default_is_the_average_and_no_ema_the_raw_weights(
    tool, checkpoint, tmp_path
):
    """MMEngine's EMAHook saves the average under `state_dict`."""
    source = read(checkpoint)
    key = 'backbone.conv1.weight'
    averaged = source['state_dict'][f'architecture.{key}']
    raw = source['ema_state_dict'][f'module.architecture.{key}']
    assert not torch.equal(averaged, raw)
    for flags, expected in (
        ((), averaged),
        (('--ema',), averaged),
        (('--no-ema',), raw),
    ):
        result = tool(
            EXPORT, checkpoint, tmp_path / 's.pth', '--overwrite', *flags
        )
        assert result.code == 0, result.err
        weights = read(tmp_path / 's.pth')['state_dict']
        assert torch.equal(weights[key], expected), flags


def test_existing_file_is_kept_without_overwrite(
    mistake, checkpoint, tmp_path
):
    out = tmp_path / 'student.pth'
    out.write_bytes(b'precious')
    message = mistake(EXPORT, checkpoint, out)
    assert str(out) in message and '--overwrite' in message
    assert out.read_bytes() == b'precious'


def test_folder_as_output(tool, checkpoint, tmp_path):
    assert tool(EXPORT, checkpoint, tmp_path).code == 0
    assert [p.name for p in tmp_path.iterdir()] == ['epoch_1_student.pth']


def test_exported_file_is_refused_as_input(
    mistake, tool, checkpoint, tmp_path
):
    out = tmp_path / 'student.pth'
    tool(EXPORT, checkpoint, out)
    assert 'a plain student checkpoint already' in mistake(EXPORT, out)


def test_mmrazor_checkpoint_with_teacher(tool, checkpoint, tmp_path):
    """MMRazor saves the teacher too, and names modules twice at will."""
    source = read(checkpoint)
    source.pop('ema_state_dict')
    source['state_dict']['teacher.backbone.conv1.weight'] = torch.zeros(3)
    source['state_dict']['distiller.connectors.x.weight'] = torch.zeros(3)
    path, out = tmp_path / 'razor.pth', tmp_path / 'out.pth'
    torch.save(source, path)
    assert tool(EXPORT, path, out).code == 0
    keys = list(read(out)['state_dict'])
    assert keys and not any(
        key.startswith(('teacher.', 'distiller.', 'architecture.'))
        for key in keys
    )


@pytest.mark.parametrize(
    'write, message',
    [
        (lambda path: None, 'does not exist'),
        (lambda path: path.write_bytes(b''), 'truncated (0 bytes)'),
        (lambda path: path.write_text('hello\n'), 'not a PyTorch checkpoint'),
        (lambda path: torch.save([1, 2], path), 'holds a list, not a dict'),
        (
            lambda path: save(path, meta={}),
            'holds no weights; found meta.* (1)',
        ),
    ],
)
def test_files_that_are_no_checkpoints(mistake, tmp_path, write, message):
    path = tmp_path / 'x.pth'
    write(path)
    answer = mistake(EXPORT, path)
    assert message in answer and str(path) in answer
    assert not (tmp_path / 'x_student.pth').exists()


def test_truncated_checkpoint(mistake, checkpoint, tmp_path):
    with open(checkpoint, 'rb') as file:
        content = file.read()
    path = tmp_path / 'cut.pth'
    path.write_bytes(content[:-1000])
    assert 'is truncated' in mistake(EXPORT, path)


def test_checkpoint_without_student_names_what_it_has(mistake, tmp_path):
    path = save(
        tmp_path / 't.pth',
        state_dict={
            'teacher.a': torch.zeros(1),
            'teacher.b': torch.zeros(1),
            'distiller.c': torch.zeros(1),
        },
    )
    message = mistake(EXPORT, path)
    assert "no key starts with 'architecture.'" in message
    assert 'teacher.* (2), distiller.* (1)' in message


def test_checkpoint_without_config(tool, mistake, tiny, checkpoint, tmp_path):
    source = read(checkpoint)
    path = save(tmp_path / 'c.pth', state_dict=source['state_dict'])
    assert '--config' in mistake(EXPORT, path)
    for config in (tiny.distill, tiny.student):
        result = tool(EXPORT, path, '--config', config, '--overwrite')
        assert result.code == 0, result.err
        assert (
            'architecture'
            not in read(tmp_path / 'c_student.pth')['meta']['cfg']
        )


def test_weights_that_do_not_fit_the_config_write_nothing(
    mistake, checkpoint, tiny, tmp_path
):
    config = tmp_path / 'wider.py'
    config.write_text(
        f"_base_ = '{tiny.student}'\n"
        'model = dict(bbox_head=dict(num_classes=5))\n'
    )
    message = mistake(
        EXPORT, checkpoint, tmp_path / 'o.pth', '--config', config
    )
    assert 'bbox_head.retina_cls.weight' in message
    assert not (tmp_path / 'o.pth').exists()


def test_ema_that_is_not_there(mistake, tmp_path):
    path = save(
        tmp_path / 'c.pth', state_dict={'architecture.a': torch.zeros(1)}
    )
    assert 'leave --ema out' in mistake(EXPORT, path, '--ema')


class Marker:
    """An object that PyTorch does not load unasked."""


def test_unknown_objects_need_trust(
    mistake, tool, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys.modules[__name__], 'Marker', Marker)
    source = read(checkpoint)
    source['extra'] = Marker()
    path = save(tmp_path / 'c.pth', **source)
    message = mistake(EXPORT, path)
    assert 'Marker' in message and '--trust-checkpoint' in message
    assert not (tmp_path / 'c_student.pth').exists()
    assert tool(EXPORT, path, '--trust-checkpoint').code == 0


def test_config_inside_is_not_executed(mistake, checkpoint, tmp_path):
    source = read(checkpoint)
    trap = tmp_path / 'executed'
    source['meta']['cfg'] += f"\nopen({str(trap)!r}, 'w').close()\n"
    path = save(tmp_path / 'c.pth', **source)
    assert '--config' in mistake(EXPORT, path)
    assert not trap.exists()
