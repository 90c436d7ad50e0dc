# Copyright (c) mmdiffkd contributors.
"""The tables of costs."""

import pytest

from mmdiffkd.engine.estimate.readme import BEGIN, END, HEAD, ROW, add_row
from mmdiffkd.utils import UserError

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
