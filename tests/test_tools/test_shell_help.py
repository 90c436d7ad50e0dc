# Copyright (c) mmdiffkd contributors.
"""Every public shell script says in a few lines of its own what it does."""

import subprocess

import pytest
from helpers.tools import TOOLS

SCRIPTS = sorted(TOOLS.glob('*.sh'))


@pytest.mark.parametrize('flag', ['--help', '-h'])
@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_help_is_short_and_names_the_script(script, flag):
    done = subprocess.run(
        ['bash', script, flag], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert 3 <= len(lines) <= 40
    assert f'tools/{script.name}' in done.stdout
    assert 'set -euo' not in done.stdout


def test_what_is_sourced_is_out_of_sight():
    for script in SCRIPTS:
        assert script.read_text().startswith('#!'), script
