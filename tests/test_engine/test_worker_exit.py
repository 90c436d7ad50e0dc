# Copyright (c) mmdiffkd contributors.
"""Shielded workers must not keep the process that started them alive."""

import subprocess
import sys

import pytest

SCRIPT = """
from torch.utils.data import DataLoader
from mmdiffkd.engine.hooks import PreemptionHook

hook = PreemptionHook()
loader = DataLoader(
    list(range(8)), batch_size=2, num_workers=1, persistent_workers=True)
assert len(list(loader)) == 4
{leave}
"""


def _leave(how: str) -> int:
    # Without the exit function both processes wait for each other.
    return subprocess.run(
        [sys.executable, '-c', SCRIPT.format(leave=how)],
        timeout=120,
    ).returncode


def test_a_finished_run_ends_with_persistent_workers():
    assert _leave('pass') == 0


def test_a_preempted_run_ends_with_persistent_workers():
    assert _leave('raise SystemExit(85)') == 85


MISTAKE = """
from torch.utils.data import DataLoader
from mmdiffkd.engine.hooks import PreemptionHook
from mmdiffkd.utils import UserError
from mmdiffkd.utils.cli import command_line

{shield}

@command_line
def main():
    global alive
    alive = iter(DataLoader(
        list(range(64)), batch_size=2, num_workers=2, persistent_workers=True))
    next(alive)
    raise UserError('the first iteration fails')

main()
"""


@pytest.mark.parametrize('shield', ['hook = PreemptionHook()', ''])
def test_a_mistake_with_workers_alive_is_one_line(shield):
    script = MISTAKE.format(shield=shield)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script],
        timeout=120,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == 'error: the first iteration fails\n'
