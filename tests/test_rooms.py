# Copyright (c) mmdiffkd contributors.
"""The rooms of docs/en/design.md: all are there, and imports point down."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'docs/en/design.md').read_text()
PACKAGE = 'mmdiffkd'


def rooms() -> dict[str, int]:
    """Row in the table of each room of the package."""
    rows = re.findall(r'^\| (`.+?) \|', TEXT, re.MULTILINE)
    return {
        name.removesuffix('.py').rstrip('/'): i
        for i, row in enumerate(rows)
        for name in re.findall(r'`([^`]+)`', row)
    }


ROOMS = rooms()


def imports(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and full name of whatever a file of the package imports."""
    module = list(path.relative_to(ROOT).with_suffix('').parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split('.')
        elif isinstance(node, ast.ImportFrom):
            base = module[: -node.level] if node.level else []
            source = base + (node.module or '').split('.')
            for alias in node.names:
                yield node.lineno, [*filter(None, source), alias.name]


def files() -> list[Path]:
    found = sorted((ROOT / PACKAGE).rglob('*.py'))
    return [path for path in found if '.mim' not in path.parts]


def downward(room: str, name: list[str]) -> bool:
    """Whether a room may import a name."""
    if name[0] != PACKAGE or len(name) == 1 or name[1] not in ROOMS:
        return True
    return name[1] == room or ROOMS[name[1]] > ROOMS[room]


def test_every_room_has_a_line_and_every_line_a_room():
    package = ROOT / PACKAGE
    there = {p.name for p in package.iterdir() if (p / '__init__.py').exists()}
    there |= {p.stem for p in package.glob('*.py')} - {'__init__'}
    assert set(ROOMS) == there | {'tools'}


def test_imports_point_downward_in_the_table():
    seen = 0
    wrong = []
    for path in files():
        room = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix('.py')
        if room == '__init__':
            continue
        for line, name in imports(path):
            seen += name[0] == PACKAGE
            if not downward(room, name):
                wrong.append(f'{path}:{line} imports {".".join(name)}')
    assert not wrong, '\n'.join(wrong)
    assert seen > 100


@pytest.mark.parametrize(
    'path, line, allowed',
    [
        ('engine/x.py', 'from ..models.losses import DISTLoss', True),
        ('diffusion/x.py', 'from .blocks import build', True),
        ('diffusion/x.py', 'from ..models import DISTLoss', False),
        ('utils/explain/x.py', 'from ...engine import checks', False),
        ('utils/x.py', 'from mmdiffkd import engine', False),
        ('utils/x.py', 'import mmdiffkd.engine.checks.settings', False),
    ],
)
def test_the_rule_sees_each_form_of_import(
    path, line, allowed, tmp_path, monkeypatch
):
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(line)
    monkeypatch.setitem(globals(), 'ROOT', tmp_path)
    room = path.split('/')[0]
    assert all(downward(room, name) for _, name in imports(file)) == allowed


def test_what_it_names_is_there():
    for target in re.findall(r'\]\(([^)#]+)\)', TEXT):
        assert (ROOT / 'docs/en' / target).exists(), target
    code = '\n'.join(p.read_text() for p in files())
    for name in re.findall(r'`([A-Za-z_][\w.]*\w)`', TEXT):
        last = name.split('.')[-1]
        assert re.search(rf'\b{last}\b', code), name


def test_the_tour_has_seven_files():
    tour = TEXT.split('## For a tour')[1].split('\n## ')[0]
    assert len(re.findall(r'^\d\. ', tour, re.MULTILINE)) == 7
