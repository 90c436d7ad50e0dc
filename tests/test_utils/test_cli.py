# Copyright (c) mmdiffkd contributors.
"""How mistakes and defects leave a script."""

import argparse
import os
import pickle

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader

from mmdiffkd.__main__ import commands, run
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.files import write_checkpoint
from mmdiffkd.utils.cli import add_traceback, command_line, quiet


@pytest.fixture(autouse=True)
def no_runs(monkeypatch):
    """Forget the logs of other tests, and this test's at its end."""
    monkeypatch.setattr(
        MMLogger, '_instance_dict', type(MMLogger._instance_dict)()
    )
    monkeypatch.setenv('MMDIFFKD_TRACEBACK', '')


@command_line
def mistaken():
    raise UserError('the config has no key x')


@command_line
def defective():
    raise ZeroDivisionError('inside')


def test_mistake_is_one_line_and_code_2(capsys, monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with pytest.raises(SystemExit) as end:
        mistaken()
    assert end.value.code == 2
    assert capsys.readouterr() == ('', 'error: the config has no key x\n')


def test_rank_is_named_in_a_run_of_several(capsys, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('RANK', '1')
    with pytest.raises(SystemExit):
        mistaken()
    assert capsys.readouterr().err.startswith('[rank 1] error: ')


def test_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        defective()


@command_line
def translated():
    CheckpointLoader.load_checkpoint('gone.pth')


@pytest.mark.parametrize('script', [mistaken, translated])
@pytest.mark.parametrize('value, shown', [('1', 1), ('0', 0), ('', 0)])
def test_the_traceback_is_shown_on_demand(
    script, value, shown, capsys, monkeypatch
):
    monkeypatch.setenv('MMDIFFKD_TRACEBACK', value)
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with pytest.raises(SystemExit) as end:
        script()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.count('Traceback (most recent call last)') == shown
    assert error.splitlines()[-1].startswith('error: ')


def test_the_flag_sets_the_variable(monkeypatch):
    monkeypatch.setenv('MMDIFFKD_TRACEBACK', '')
    parser = argparse.ArgumentParser()
    add_traceback(parser)
    parser.parse_args([])
    assert not os.environ['MMDIFFKD_TRACEBACK']
    parser.parse_args(['--traceback'])
    assert os.environ['MMDIFFKD_TRACEBACK'] == '1'


@pytest.mark.parametrize('script', [mistaken, translated, defective])
def test_the_log_file_always_has_the_traceback(script, tmp_path, capsys):
    path = tmp_path / 'run.log'
    logger = MMLogger.get_instance('test_cli', log_file=str(path))
    logger.info('begin')
    with pytest.raises((SystemExit, ZeroDivisionError)):
        script()
    text = path.read_text()
    assert text.count('Traceback (most recent call last)') == 1
    assert 'test_cli.py' in text
    out, err = capsys.readouterr()
    assert 'Traceback' not in out + err


@pytest.mark.parametrize(
    'command',
    [
        name
        for name, path in commands().items()
        # The quickstart becomes a script, and this process with it.
        if 'command_line' in path.read_text() and name != 'quickstart'
    ],
)
def test_every_command_has_the_switch(command, capsys):
    with pytest.raises(SystemExit):
        run(command, ['--help'])
    assert '--traceback' in capsys.readouterr().out


@pytest.mark.parametrize('first', ['inside', 'before'])
def test_what_is_logged_is_quiet_inside_alone(first, caplog):
    """Whatever the logger has passed on, or not, before."""
    logger = MMLogger.get_instance('talking')
    logger.addHandler(caplog.handler)
    if first == 'before':
        logger.info('before')
    with quiet():
        logger.info('inside')
    logger.info('after')
    heard = [record.getMessage() for record in caplog.records]
    assert heard == ['before', 'after'][first == 'inside' :]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'x.pth'
    path.write_bytes(b'old')
    with pytest.raises((AttributeError, pickle.PicklingError)):
        write_checkpoint(dict(a=lambda: None), str(path))
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
