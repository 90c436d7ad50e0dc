# Copyright (c) mmdiffkd contributors.
"""Shielded workers must not keep the process that started them alive."""

import subprocess
import sys

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
