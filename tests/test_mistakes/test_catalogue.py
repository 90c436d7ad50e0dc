# Copyright (c) mmdiffkd contributors.
"""A catalogue of wrong set-ups, and what each is answered with.

Every entry of the files beside this one runs a tool's ``main()``: one
``error: ...`` with the expected words, exit code 2, no traceback, and no file
that was there before changes. docs/en/troubleshooting.md has the message.
"""

import hashlib
import pickle
import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from test_docs.page import messages, shown

from . import configs, data, distillation, other_tools, starts


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
    (folder / 'pickle.pth').write_bytes(pickle.dumps(SimpleNamespace()))
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


CASES = {}
for part in (configs, starts, data, distillation, other_tools):
    twice = CASES.keys() & part.CASES.keys()
    assert not twice, f'two mistakes of one name: {twice}'
    CASES.update(part.CASES)
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
def test_catalogue(case, tool, tiny, saved, tmp_path, monkeypatch, checkout):
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
    wanted = [expected] if isinstance(expected, str) else expected
    for words in wanted:
        assert re.search(f'(?s){fill(words, places)}', message), message
    assert any(messages.fits(line, message) for _, line in shown(checkout)), (
        f'docs/en/troubleshooting.md has no such message: {message}'
    )
    if 'does not exist (' in message:
        assert not (tmp_path / 'w').exists()  # found before it is made
    after = fingerprints(tmp_path, saved, tiny.folder)
    changed = [path for path in before if after.get(path) != before[path]]
    assert not changed


def test_other_errors_keep_their_traceback(tool, tiny, tmp_path):
    """A defect must not be dressed up as a mistake of the user."""
    module = tmp_path / 'broken_hook.py'
    module.write_text(
        'from mmengine.registry import HOOKS\n'
        'from mmengine.hooks import Hook\n'
        '@HOOKS.register_module(force=True)\n'
        'class BrokenHook(Hook):\n'
        '    def __init__(self):\n'
        '        raise TypeError("broken inside")\n'
    )
    config = tmp_path / 'c.py'
    config.write_text(
        f"_base_ = '{tiny.student}'\n"
        "custom_imports = dict(imports=['broken_hook'])\n"
        "custom_hooks = [dict(type='BrokenHook')]\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(TypeError, match='broken inside'):
            tool('train.py', config, '--work-dir', tmp_path / 'w')
