# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd COMMAND``: found by file, told by docstring, ready at once."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmdiffkd
from mmdiffkd import __main__ as entry

ROOT = Path(mmdiffkd.__file__).parents[1]
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'tools').rglob('*.py')
    if path.is_symlink()
)


def run(*words, **kwargs):
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=120,
        **kwargs,
    )


def test_a_new_file_is_a_new_command(monkeypatch, tmp_path):
    shutil.copytree(entry.FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / 'make_tea.py').write_text('"""Make tea.\n\nSlowly.\n"""\n')
    (tmp_path / '_kettle.py').write_text('"""No command."""\n')
    monkeypatch.setattr(entry, 'FOLDER', tmp_path)
    assert 'make-tea' in entry.commands()
    assert 'Make tea.' in entry.usage() and 'kettle' not in entry.usage()


def test_the_help_has_a_sentence_of_every_command(monkeypatch):
    monkeypatch.setenv('COLUMNS', '70')
    text = entry.usage()
    assert max(map(len, text.splitlines())) <= 70
    listed = text.split('commands:\n')[1].rsplit('\n\n', 1)[0]
    found = re.split(r'^  (?=\S)', listed, flags=re.M)[1:]
    assert [item.split()[0] for item in found] == list(entry.commands())
    for item in found:
        assert item.rstrip().endswith(('.', '?')), item


@pytest.mark.parametrize(
    'words, code',
    [(['--help'], 0), (['--version'], 0), ([], 2), (['trian'], 2)],
)
@pytest.mark.parametrize('start', ['module', 'script'])
def test_help_and_mistakes_do_not_wait_for_pytorch(
    start, words, code, tmp_path
):
    script = tmp_path / 'mmdiffkd'  # as an installation makes it
    script.write_text(
        'import sys\nfrom mmdiffkd.__main__ import main\nsys.exit(main())\n'
    )
    called = [script] if start == 'script' else ['-m', 'mmdiffkd']
    done = run(sys.executable, '-X', 'importtime', *called, *words)
    imported = set(re.findall(r'\| +([\w.]+)\n', done.stderr))
    assert 'mmdiffkd.version' in imported
    assert not imported & {'torch', 'mmengine', 'numpy'}
    assert done.returncode == code, done.stderr
    if words == ['trian']:
        assert re.search("^error: .*'trian'.* 'train'", done.stderr, re.M)


def test_importing_the_package_makes_mmrazor_importable():
    """As configs and users' scripts rely on, whatever their name."""
    code = 'import mmdiffkd, mmrazor.models; print(mmdiffkd.bases("a.py"))'
    done = run(sys.executable, '-W', 'ignore', '-c', code)
    assert done.stdout == "['a.py']\n", done.stderr


def test_a_command_calls_itself_by_its_name(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmdiffkd'])
    with pytest.raises(SystemExit) as end:
        entry.main(['compare-runs', '--help'])
    assert end.value.code == 0
    assert 'usage: mmdiffkd compare-runs' in capsys.readouterr().out


def test_a_command_says_nothing_of_the_libraries_it_stands_on(tmp_path):
    config = ROOT / 'configs/det/diffkd_retina_r101_r50.py'
    words = ('print-config', config, '--key', 'model.type')
    done = run(sys.executable, '-m', 'mmdiffkd', *words, cwd=tmp_path)
    assert 'FrozenTeacherDistill' in done.stdout and not done.stderr


def test_scripts_are_the_commands_from_any_folder(tmp_path):
    """Each by its name, with nothing installed and no path set."""
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    code = (
        'import runpy, sys; '
        f'f = runpy.run_path({str(ROOT / "tools/_command.py")!r}); '
        'print(*map(f["command_of"], sys.argv[1:]))'
    )
    done = run(sys.executable, '-c', code, *SCRIPTS, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert dict(zip(SCRIPTS, found))['tools/train.py'] == 'train'
    assert set(found) <= set(entry.commands()) and len(SCRIPTS) >= 13
    assert len(set(found)) == len(SCRIPTS)


@pytest.mark.parametrize('copied', [False, True])
def test_a_script_runs_from_a_plain_checkout(copied, tmp_path):
    """Where links were copied as files, too."""
    root = ROOT
    if copied:
        root = tmp_path / 'checkout'
        for name in ('mmdiffkd', 'tools'):
            shutil.copytree(
                ROOT / name,
                root / name,
                ignore=shutil.ignore_patterns('.mim', '__pycache__'),
            )
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    script = root / 'tools/analysis_tools/compare_runs.py'
    done = run(sys.executable, script, 'no_run', cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert done.stderr.endswith('error: no such work dir: no_run\n')
