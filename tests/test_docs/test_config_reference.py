# Copyright (c) mmdiffkd contributors.
"""The config reference names every key, says what it does, and is right."""

import ast
import re

import config_reference
import pytest

KINDS = [
    kind for kinds in config_reference.registered().values() for kind in kinds
]


def name_of(kind):
    return kind.__name__


@pytest.mark.parametrize('kind', KINDS, ids=name_of)
def test_every_key_has_an_effect(kind):
    silent = [
        key.name
        for key in config_reference.keys(kind)
        # "As for CLASS of LIBRARY." is where to look, and no effect.
        if len(key.effect.split()) < (8 if 'As for' in key.effect else 2)
    ]
    assert not silent


@pytest.mark.parametrize('kind', KINDS, ids=name_of)
def test_nothing_is_documented_that_is_not_taken(kind):
    said = config_reference.documented(kind)
    taken = config_reference.accepted(kind)
    assert not [
        name for name in said if name not in taken and not name.startswith('*')
    ]


@pytest.mark.parametrize('kind', KINDS, ids=name_of)
def test_the_default_that_is_said_is_the_default(kind):
    said = config_reference.documented(kind)
    for name, (_, parameter) in config_reference.accepted(kind).items():
        words = re.search(
            r'Defaults to (?:``(.+?)``|(\S+?)[.:,;]?(?:\s|$))',
            ' '.join(said.get(name, ('', ''))[1].split()),
        )
        if words is None:
            continue
        try:
            value = ast.literal_eval(words[1] or words[2])
        except (ValueError, SyntaxError):
            continue  # in words, such as "batch norm"
        assert value == parameter.default, name


@pytest.mark.parametrize(
    'kind', config_reference.HANDED_ON, ids=lambda kind: kind.__name__
)
def test_what_is_handed_on_is_taken(kind):
    """Built with every key of the table, at its default."""
    options = {
        name: parameter.default
        for name, (_, parameter) in config_reference.accepted(kind).items()
        if parameter.default is not parameter.empty
    }
    assert len(options) > 8
    kind(student_channels=4, teacher_channels=4, **options)


def test_the_page_has_a_row_for_every_key():
    text = config_reference.config_reference()
    for kind in KINDS:
        assert text.count(f'### {kind.__name__}\n') == 1
        section = text.partition(f'### {kind.__name__}\n')[2]
        section = section.partition('\n### ')[0]
        for key in config_reference.keys(kind):
            assert f'   * - ``{key.name}``\n' in section


def test_a_key_without_docs_is_found():
    class Silent:
        """A class.

        Args:
            a (int): Said.
        """

        def __init__(self, a, b=2):
            pass

    Silent.__module__ = 'mmdiffkd.x'
    found = {key.name: key.effect for key in config_reference.keys(Silent)}
    assert found == dict(a='Said.', b='')
