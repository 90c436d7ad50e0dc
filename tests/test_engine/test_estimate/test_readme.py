# Copyright (c) mmdiffkd contributors.
"""The tables of costs, and that they name all pairs."""

from pathlib import Path

import pytest

from mmdiffkd.engine.estimate.readme import BEGIN, END, HEAD, ROW, add_row
from mmdiffkd.utils import UserError

ROOT = Path(__file__).parents[3]

COST = dict(
    input_size=[800, 1344],
    batch_size=2,
    times_floor=1.066,
    peak=5123.8,
    per_image=2296.4,
)


@pytest.fixture
def readme(tmp_path):
    file = tmp_path / 'README.md'
    file.write_text(f'# Title\n\n{BEGIN}\n{END}\n\nmore\n')
    return file


def test_rows_are_added_in_order_and_replaced(readme):
    for name, peak in (('b.py', 1.0), ('a.py', 2.0), ('b.py', 5123.8)):
        config = str(readme.parent / name)
        add_row(str(readme), config, dict(COST, peak=peak))
    lines = readme.read_text().splitlines()
    start = lines.index(BEGIN) + 1
    assert lines[start : start + 2] == HEAD
    assert [ROW.match(row)[1] for row in lines[start + 2 : start + 4]] == [
        'a.py',
        'b.py',
    ]
    assert lines[start + 3] == (
        '| [b.py](b.py) | 2 x 800 x 1344 | 1.07 | 5,124 | 2,296 |'
    )
    assert lines[start + 4 :] == [END, '', 'more']
    assert lines[0] == '# Title'


def test_a_file_without_the_lines_is_left_as_it_is(tmp_path):
    file = tmp_path / 'README.md'
    file.write_text('nothing')
    with pytest.raises(UserError, match='costs: begin'):
        add_row(str(file), 'a.py', COST)
    with pytest.raises(UserError, match='no distillation'):
        add_row(str(file), 'a.py', {})
    assert file.read_text() == 'nothing'


def pair(name):
    """``TEACHER_STUDENT_DATA``: a name without its method."""
    return name.partition('_')[2]


@pytest.mark.parametrize('folder', ['det', 'seg', 'cls'])
def test_each_pair_has_a_row(folder):
    text = (ROOT / 'configs' / folder / 'README.md').read_text()
    table = text.partition(BEGIN)[2].partition(END)[0]
    rows = {m[1] for line in table.splitlines() if (m := ROW.match(line))}
    configs = {p.name for p in (ROOT / 'configs' / folder).glob('*.py')}
    assert rows <= configs
    assert {pair(row) for row in rows} == {pair(name) for name in configs}
