# Copyright (c) mmdiffkd contributors.
"""Configs that the pages show can be read, and commands exist."""

import re
import shlex

import pytest
from mmengine.config import Config

from mmdiffkd import __main__ as entry

PAGES = (
    'coming_from',
    'distil_your_own',
    'get_started',
    'how_diffkd_works',
    'questions',
    'troubleshooting',
)


def blocks(checkout, language):
    """Code of a language, by page."""
    for page in PAGES:
        text = (checkout / f'docs/en/{page}.md').read_text()
        for code in re.findall(
            rf'^```{language}\n(.*?)^```$', text, re.M | re.S
        ):
            yield page, code


def test_configs_can_be_read(checkout, tmp_path):
    configs = [
        code for _, code in blocks(checkout, 'python') if '_base_ =' in code
    ]
    assert len(configs) >= 2
    for i, code in enumerate(configs):
        path = tmp_path / f'c{i}.py'
        path.write_text(code)
        assert Config.fromfile(path).model.type


def test_commands_and_their_options_exist(checkout, capsys):
    used = {}
    for page, code in blocks(checkout, 'bash'):
        for line in code.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ['mmdiffkd']:
                flags = {w for w in words if w.startswith('--')} - {'--help'}
                if not words[1].startswith('-'):
                    used.setdefault((words[1], page), set()).update(flags)
    assert len({command for command, _ in used}) >= 4
    for (command, page), flags in used.items():
        assert command in entry.commands(), (page, command)
        if flags:
            with pytest.raises(SystemExit):
                entry.run(command, ['--help'])
            assert flags <= set(
                re.findall(r'--[\w-]+', capsys.readouterr().out)
            ), (page, command)


def test_scripts_exist(checkout):
    for page, code in blocks(checkout, 'bash'):
        for script in re.findall(r'tools/[\w/]+\.(?:sh|py)', code):
            assert (checkout / script).is_file(), (page, script)
