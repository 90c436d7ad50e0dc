# Copyright (c) mmdiffkd contributors.
"""Commands within sentences: there are such commands, with such options."""

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path

import pytest

import mmdiffkd
from mmdiffkd import __main__ as entry

from . import shell

FENCED = re.compile(r'^ *(```|~~~).*?^ *\1 *$', re.M | re.S)
SPAN = re.compile(r'(?<!`)`([^`]+)`(?!`)')


@cache
def options(name):
    """Long and short options of a command, as its help shows them."""
    if name == 'quickstart':  # a script of the shell
        script = Path(mmdiffkd.__file__).parents[1] / 'tools/quickstart.sh'
        return set(re.findall(r'(?<![\w-])--[a-z][\w-]*', script.read_text()))
    module = entry.commands()[name].stem
    command = importlib.import_module(f'mmdiffkd.commands.{module}')
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        command.parse_args(['--help'])
    return set(re.findall(r'(?<![\w-])--?[a-z][\w-]*', shown.getvalue()))


@pytest.fixture(scope='module')
def spans(checkout):
    """Page and text of what stands in code font within sentences."""
    return [
        (page.relative_to(checkout).as_posix(), ' '.join(text.split()))
        for page in shell.pages(checkout)
        for text in SPAN.findall(FENCED.sub('', page.read_text()))
    ]


def test_commands_are_there_and_have_the_options(spans):
    seen = 0
    for page, text in spans:
        words = text.removeprefix('python -m ').split()
        if words[0] != 'mmdiffkd' or len(words) < 2:
            continue
        name = words[1]
        if name.isupper() or name.startswith('-'):  # COMMAND, --version
            continue
        assert name in entry.commands(), (page, text)
        flags = {w.partition('=')[0] for w in words[2:] if w.startswith('-')}
        assert flags <= options(name) | {'--help'}, (page, text)
        seen += 1
    assert seen > 25


def test_scripts_are_there_and_have_the_options(spans, checkout):
    seen = 0
    for page, text in spans:
        for script in re.findall(r'(?<![\w/.])tools/[\w/]+\.(?:sh|py)', text):
            assert (checkout / script).is_file(), (page, text)
            seen += 1
            if text.startswith(f'{script} '):
                flags = re.findall(r'(?<![\w-])--[a-z][\w-]*', text)
                source = (checkout / script).read_text()
                assert all(flag in source for flag in flags), (page, text)
    assert seen > 15


def test_options_belong_to_some_command(spans, checkout):
    """``--flag`` alone: of one of our commands or scripts, or a stock one."""
    known = set().union(*(options(name) for name in entry.commands()))
    for path in [*(checkout / 'tools').rglob('*.sh')]:
        known |= set(re.findall(r'(?<![\w-])--[a-z][\w-]*', path.read_text()))
    for page, text in spans:
        if re.fullmatch(r'--[a-z][\w-]*(?:[ =].*)?', text):
            flag = re.split('[ =]', text)[0]
            assert flag in known, (page, text)
