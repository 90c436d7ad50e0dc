# Copyright (c) mmdiffkd contributors.
"""How mistakes and defects leave a script."""

import pytest

from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoint import write_checkpoint
from mmdiffkd.utils.cli import command_line


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


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'x.pth'
    path.write_bytes(b'old')
    with pytest.raises(Exception):
        write_checkpoint(dict(a=lambda: None), str(path))
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
