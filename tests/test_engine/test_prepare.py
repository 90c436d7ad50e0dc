# Copyright (c) mmdiffkd contributors.
"""`mmdiffkd.prepare`: a training from Python is that of the command."""

import json
import sys

import pytest
import torch
from helpers.tools import forget_runs
from mmengine.config import Config

import mmdiffkd
from mmdiffkd.utils import UserError

SCRIPT = """
import sys
from mmengine.config import Config
import mmdiffkd

path, first, second = sys.argv[1:]
cfg = Config.fromfile(path)
before = cfg.pretty_text
mmdiffkd.prepare(cfg, first, seed=1).train()
assert cfg.pretty_text == before
# Another in the same process, as in a notebook; from a dict.
mmdiffkd.prepare(
    cfg.to_dict(), second, cfg_options={'randomness': dict(seed=1)}
).train()
"""


def steps(work_dir):
    """What was logged of each iteration, but for its time and memory."""
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {k: v for k, v in row.items() if 'time' not in k and k != 'memory'}
        for row in rows
    ]


def said(work_dir):
    """The first iteration's report, what was added, and what is warned of."""
    (path,) = work_dir.glob('*/*.log')
    text = path.read_text()
    report = text.split('distillation at iteration 1:\n')[1].split('\n20')[0]
    lines = [x.split(' - ')[-1] for x in text.splitlines()]
    added = [x for x in lines if x.startswith('reliable:')]
    warned = [x for x in lines if x.startswith('the teacher')]
    assert added and len(warned) == 3  # its weights, its parts, its loss
    return report, added, warned


@pytest.mark.slow
def test_it_is_the_run_of_the_command(distilled, process, tiny, tmp_path):
    """The same log, files and weights, whatever form the config has."""
    names = [tmp_path / 'first', tmp_path / 'second']
    done = process(
        sys.executable, '-c', SCRIPT, tiny.distill, *names, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-4000:]
    expected = torch.load(distilled / 'epoch_1.pth', weights_only=True)
    for work_dir in names:
        assert steps(work_dir) == steps(distilled)
        assert said(work_dir) == said(distilled)
        found = torch.load(work_dir / 'epoch_1.pth', weights_only=True)
        for key, value in expected['state_dict'].items():
            assert torch.equal(found['state_dict'][key], value), key
        assert (work_dir / 'student_last.pth').is_file()


@pytest.fixture
def prepare(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    forget_runs()

    def call(cfg=tiny.student, **arguments):
        return mmdiffkd.prepare(cfg, **arguments)

    yield call
    forget_runs()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(cfg=3), 'a Config, a dict or the name'),
        (dict(cfg='no.py'), "'no.py' does not exist"),
        (dict(cfg={}), 'the config cannot be trained: its model'),
        (dict(seed=-1), 'the seed .* got -1'),
        (dict(resume='gone.pth'), 'gone.pth: there is no such file'),
        (dict(work_dir=''), '--work-dir must be the name of a folder'),
        (dict(launcher='pytorch'), 'dist_train.sh'),
        (dict(cfg_options={'model.backbone.depth.x': 1}), 'depth'),
    ],
)
def test_mistakes_are_exceptions_and_leave_nothing(
    prepare, tmp_path, arguments, message
):
    with pytest.raises(UserError, match=message):
        prepare(**arguments)
    assert not list(tmp_path.iterdir())


def test_a_config_from_memory_has_to_say_where(prepare, tiny):
    cfg = Config.fromfile(tiny.student).to_dict()
    with pytest.raises(UserError, match='give work_dir'):
        prepare(cfg)


def test_modules_of_a_config_from_memory_are_imported(prepare, tiny):
    cfg = Config.fromfile(tiny.student).to_dict()
    cfg['custom_imports'] = dict(imports=['no_such_module_x'])
    with pytest.raises(UserError, match='custom_imports.*no_such_module_x'):
        prepare(cfg, work_dir='w')


def test_earlier_checkpoints_are_kept(prepare, tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'precious')
    with pytest.raises(UserError, match='overwrite'):
        prepare(work_dir=tmp_path)
    runner = prepare(work_dir=tmp_path, overwrite=True)
    assert runner.work_dir == str(tmp_path)
    assert (tmp_path / 'epoch_1.pth').read_bytes() == b'precious'


def test_mistakes_of_the_host_are_told_as_the_command_does(prepare):
    with pytest.raises(UserError, match="'FPM' is not in .*'FPN'"):
        prepare(work_dir='w', cfg_options={'model.neck.type': 'FPM'})


def test_so_are_those_that_show_when_training_starts(prepare):
    runner = prepare(
        work_dir='w',
        cfg_options={'train_dataloader.dataset.pipeline.0.type': 'LoadImg'},
    )
    with pytest.raises(UserError, match="'LoadImg' is not in"):
        runner.train()


def test_a_defect_stays_what_it_is(prepare, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError('inside')

    monkeypatch.setattr('mmdiffkd.engine.launch.build_runner', broken)
    with pytest.raises(ZeroDivisionError):
        prepare(work_dir='w')
