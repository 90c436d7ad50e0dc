# Copyright (c) mmdiffkd contributors.
"""The Python of every page: configs can be read, calls can be made."""

import ast
import copy
import importlib
import inspect
import re
import textwrap

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry
from mmrazor.registry import MODELS

import mmdiffkd
from mmdiffkd import registry
from mmdiffkd.models import DiffKDDistiller
from mmdiffkd.models.distillers.pairs import expand_distiller

from . import shell

BLOCK = re.compile(r'^( *)```python\n(.*?)^\1```$', re.M | re.S)
TYPE = re.compile(r"""type=(['"])mmdiffkd\.(\w+)\1""")

KEYS = {'_scope_', 'type'}.union(
    *(inspect.signature(kind).parameters for kind in DiffKDDistiller.__mro__)
)
"""Keys of a distiller's config."""


@pytest.fixture(scope='module')
def snippets(checkout):
    """Page and code of each block."""
    return [
        (page.relative_to(checkout).as_posix(), textwrap.dedent(code))
        for page in shell.pages(checkout)
        for _, code in BLOCK.findall(page.read_text())
    ]


@pytest.fixture(scope='module')
def configs(snippets, checkout, tmp_path_factory):
    """Page and config of each block that inherits one."""
    # As if in configs/det, since the pages name bases as seen from there.
    folder = tmp_path_factory.mktemp('snippets') / 'configs'
    folder.mkdir()
    for path in (checkout / 'configs').iterdir():
        (folder / path.name).symlink_to(path)
    (folder / 'mine').mkdir()
    found = []
    for page, code in snippets:
        if re.search('^_base_ =', code, re.M):
            path = folder / 'mine' / f'snippet{len(found)}.py'
            path.write_text(code)
            found.append((page, Config.fromfile(path)))
    return found


def parts(code):
    """What a block without bases assigns, where it is plain values."""
    values = {}
    if '_base_' in code:
        return values
    for node in ast.parse(code).body:
        if not isinstance(node, ast.Assign):
            return {}
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
        names = [call.func for call in calls]
        if any(getattr(name, 'id', None) != 'dict' for name in names):
            return {}
        exec(ast.unparse(node), values)
    values.pop('__builtins__', None)
    return values


def test_every_block_is_python(snippets):
    assert len(snippets) > 25
    for page, code in snippets:
        compile(code, page, 'exec')


def test_configs_can_be_read(configs):
    assert len(configs) > 10
    for page, cfg in configs:
        assert cfg.model.type, page


def test_their_distillers_are_whole(configs):
    """Widths may be open; names of keys, types and levels are checked."""
    seen = 0
    for page, cfg in configs:
        distiller = cfg.model.get('distiller')
        if distiller:
            whole = expand_distiller(distiller)
            assert set(distiller) <= KEYS, page
            assert whole['distill_losses'], page
            seen += 1
    assert seen > 8


def test_distillers_that_stand_alone_can_be_built(snippets):
    seen = 0
    for page, code in snippets:
        values = parts(code)
        if isinstance(values.get('distiller'), dict):
            distiller = values['distiller']
        elif 'pairs' in values:
            distiller = dict(pairs=values['pairs'])
        else:
            continue
        whole = expand_distiller(
            ConfigDict(type='mmdiffkd.DiffKDDistiller', **distiller)
            if 'type' not in distiller
            else distiller
        )
        assert whole['distill_losses'], page
        for loss in whole['distill_losses'].values():
            assert MODELS.build(copy.deepcopy(dict(loss))), page
        for connector in (whole.get('connectors') or {}).values():
            if 'student_channels' in connector:
                assert MODELS.build(copy.deepcopy(dict(connector))), page
        seen += 1
    assert seen >= 3


def test_types_of_the_package_are_registered(checkout):
    """In blocks and within sentences."""
    registries = [
        value
        for value in vars(registry).values()
        if isinstance(value, Registry) and value.scope == 'mmdiffkd'
    ]
    seen = 0
    for page in shell.pages(checkout):
        for _, name in TYPE.findall(page.read_text()):
            assert any(r.get(f'mmdiffkd.{name}') for r in registries), (
                page,
                name,
            )
            seen += 1
    assert seen > 20


def test_imports_are_there_and_calls_fit(snippets):
    """Each import, and each call of a function of the package."""
    calls = 0
    for page, code in snippets:
        known = {'mmdiffkd': mmdiffkd}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    known[alias.name] = getattr(module, alias.name)
        for node in ast.walk(ast.parse(code)):
            if not isinstance(node, ast.Call):
                continue
            path = ast.unparse(node.func).split('.')
            function = known.get(path[0])
            for name in path[1:]:
                if function is mmdiffkd:
                    assert hasattr(function, name), (page, name)
                function = getattr(function, name, None)
            if not getattr(function, '__module__', '').startswith('mmdiffkd'):
                continue
            keywords = [k.arg for k in node.keywords]
            inspect.signature(function).bind(
                *node.args, **dict.fromkeys(keywords)
            )
            calls += 1
    assert calls >= 3
