# Copyright (c) mmdiffkd contributors.
"""The result of a benchmark as a table."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .machine import in_words
from .measure import FLOOR, THIS

Row = Mapping[str, Any]

TIMES: dict[str, Callable[[Row], str]] = {
    'time, ms': lambda row: _spread(row['time'], 1e3, 0),
    'of student': lambda row: _spread(row['of_student'], 1, 2),
    'of floor': lambda row: _spread(row['of_floor'], 1, 2),
    'of this': lambda row: _spread(row['of_this'], 1, 2),
    'peak, MiB': lambda row: f'{row["peak_memory"] / 2**20:,.0f}',
}
"""Columns of the first table: how a row's cell is written."""

ON_GPU: dict[str, Callable[[Row], str]] = {
    'launches': lambda row: f'{row["kernel_launches"]:,}',
    'syncs': lambda row: f'{row["host_syncs"]:,}',
}
"""Further columns, on a GPU."""


def as_text(result: Mapping[str, Any]) -> str:
    """Tables of a result in Markdown, and what was measured.

    Args:
        result (Mapping): From :func:`.measure.measure`, or from its file.

    Returns:
        str: A table of times and memory, one of multiply-adds and
        parameters, and the sentences of :func:`headline`.
    """
    rows = result['columns']
    cells = dict(TIMES)
    if all(row['kernel_launches'] is not None for row in rows):
        cells.update(ON_GPU)
    times = _table([*cells])
    counts = _table(
        [
            f'{unit}, {part}'
            for unit in ('G multiply-adds', 'M parameters')
            for part in ('student', 'teacher', 'connectors')
        ]
    )
    for row in rows:
        times.add_row(row['name'], *(write(row) for write in cells.values()))
        counts.add_row(
            row['name'],
            *(f'{n / 1e9:.2f}' for n in row['multiply_adds'].values()),
            *(f'{n / 1e6:.2f}' for n in row['parameters'].values()),
        )
    return '\n\n'.join([_lines(times), _lines(counts), headline(result)])


def headline(result: Mapping[str, Any]) -> str:
    """What was measured, on what, and the overhead in a sentence.

    Args:
        result (Mapping): As for :func:`as_text`.
    """
    settings = result['settings']
    height, width = settings['size']
    overhead, share = overhead_and_share(result)
    # Of next to nothing, the ratio would be that of the noise.
    each = f', {overhead / share:.2f} times that' if share >= 0.01 else ''
    return (
        f'{result["config"]}: {settings["batch_size"]} x {height} x {width}, '
        f'{settings["amp"] or "float32"}, {settings["steps"]} rounds, '
        f'{settings["clock"]} time; '
        f'{in_words(result["machine"])}.\n'
        f'The connectors do {share:.1%} of the multiply-adds of the floor '
        f'and take {overhead:.1%} of its time{each}.'
    )


def overhead_and_share(result: Mapping[str, Any]) -> tuple[float, float]:
    """Time over the floor, and multiply-adds over it; both in its units.

    Args:
        result (Mapping): As for :func:`as_text`.
    """
    rows = {row['name']: row for row in result['columns']}
    work = rows[THIS]['multiply_adds']
    floor = sum(rows[FLOOR]['multiply_adds'].values())
    overhead = rows[THIS]['of_floor']['median'] - 1
    return overhead, work['connectors'] / floor


def _table(names: Sequence[str]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column('', overflow='fold')
    for name in names:
        table.add_column(name, justify='right')
    return table


def _lines(table: Table) -> str:
    """A table as text; its lines stay whole, however long they are."""
    console = Console(file=StringIO(), width=300)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return '\n'.join(
        line.rstrip() for line in text.splitlines() if line.strip()
    )


def _spread(value: Mapping[str, float], scale: float, digits: int) -> str:
    low, median, high = (
        f'{scale * value[key]:,.{digits}f}'
        for key in ('low', 'median', 'high')
    )
    return f'{median} ({low} to {high})'
