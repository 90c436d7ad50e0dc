# Copyright (c) mmdiffkd contributors.
"""The troubleshooting page has every error message of the package."""

import re

import messages
import pytest

from .page import MARKS, shown


def test_each_message_stands_on_the_page_once(checkout):
    lines = [line for _, line in shown(checkout)]
    twice = {line for line in lines if lines.count(line) > 1}
    # Two files may say the same, under two headings.
    assert all(
        len({m.file for m in messages.messages() if m.text == line}) > 1
        for line in twice
    ), twice
    missing = [m for m in messages.messages() if m.text not in lines]
    assert not missing


def test_each_heading_has_messages(checkout):
    text = (checkout / 'docs/en/troubleshooting.md').read_text()
    for mark in MARKS.finditer(text):
        for place in mark[1].split():
            assert messages.message_list(place), place


@pytest.mark.parametrize(
    ('message', 'said', 'same'),
    [
        ('a … of …: b', "error: a 'x' of 3: b", True),
        ('a … b', 'a\n   long\n   b', True),
        ('a … of …: b', 'a of: c', False),
        ('a (x) …', 'a y', False),
    ],
)
def test_gaps_fit_any_value(message, said, same):
    assert messages.fits(message, said) == same


def test_sources_are_read_as_they_are_written(tmp_path, monkeypatch):
    (tmp_path / 'a.py').write_text(
        "ADVICE = 'do it in another way'\n"
        'def write(x):\n'
        "    return f'the function wrote {x}'\n"
        'def f(x, y):\n'
        "    raise UserError(f'the value {x!r} is ' 'not known')\n"
        '    raise UserError(ADVICE)\n'
        '    raise UserError(write(x))\n'
        "    raise UserError('first way' if x else 'second way')\n"
        "    raise RuntimeError('a defect of the program')\n"
    )
    monkeypatch.setattr(messages, 'PACKAGE', tmp_path)
    found = messages.messages.__wrapped__()
    assert [re.sub('…', '_', m.text) for m in found] == [
        'the value _ is not known',
        'do it in another way',
        'the function wrote _',
        'first way',
        'second way',
    ]
