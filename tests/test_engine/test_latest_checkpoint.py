# Copyright (c) mmdiffkd contributors.
"""Which checkpoint a run is resumed from."""

import os
import re

import pytest
import torch

from mmdiffkd.engine import latest_checkpoint as module
from mmdiffkd.engine.latest_checkpoint import damage, latest_checkpoint
from mmdiffkd.utils import UserError


@pytest.fixture
def run_dir(tmp_path):
    """Three checkpoints and a best one; the note names the third."""
    for i, name in enumerate(
        ('epoch_1', 'best_acc_epoch_1', 'epoch_2', 'iter_30')
    ):
        path = tmp_path / f'{name}.pth'
        torch.save(dict(weight=torch.rand(5000)), path)
        os.utime(path, (i, i))
    note(tmp_path, 'iter_30.pth')
    return tmp_path


def note(folder, name):
    (folder / 'last_checkpoint').write_text(str(folder / name))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def latest(folder):
    path = latest_checkpoint(str(folder))
    return path and os.path.basename(path)


def test_the_noted_one_is_the_latest(run_dir):
    assert latest(run_dir) == 'iter_30.pth'
    note(run_dir, 'epoch_1.pth')
    assert latest(run_dir) == 'epoch_1.pth'


@pytest.mark.parametrize(
    'spoil, problem',
    [
        (truncate, 'is truncated'),
        (flip_a_bit, 'is damaged'),
        (lambda path: path.write_bytes(b''), r'is truncated .*\(0 bytes\)'),
        (lambda path: path.unlink(), 'does not exist'),
    ],
)
def test_what_is_not_whole_is_skipped_with_a_warning(
    run_dir, spoil, problem, monkeypatch
):
    said = []
    monkeypatch.setattr(
        module, 'print_log', lambda text, logger, level: said.append(text)
    )
    spoil(run_dir / 'iter_30.pth')
    assert latest(run_dir) == 'epoch_2.pth'
    (text,) = said
    assert re.search(f'iter_30.pth.*{problem}.*resuming from.*epoch_2', text)


def test_the_last_good_one_may_be_the_oldest(run_dir):
    truncate(run_dir / 'iter_30.pth')
    flip_a_bit(run_dir / 'epoch_2.pth')
    assert latest(run_dir) == 'epoch_1.pth'


def test_nothing_whole_is_left(run_dir):
    for name in ('iter_30.pth', 'epoch_2.pth', 'epoch_1.pth'):
        truncate(run_dir / name)
    with pytest.raises(UserError, match='iter_30.*truncated.*epoch_1'):
        latest_checkpoint(str(run_dir))


def test_killed_before_the_first_checkpoint_had_its_name(tmp_path):
    note(tmp_path, 'epoch_1.pth')
    assert latest(tmp_path) is None


def test_a_folder_that_was_moved(run_dir):
    (run_dir / 'last_checkpoint').write_text('/old/place/epoch_2.pth')
    assert latest(run_dir) == 'epoch_2.pth'


def test_whole_files_are_whole(run_dir, tmp_path):
    assert damage(str(run_dir / 'epoch_1.pth')) is None
    assert damage(str(tmp_path)) is None  # a sharded checkpoint
