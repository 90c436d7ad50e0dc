# Copyright (c) mmdiffkd contributors.
"""The result of a benchmark as bars."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mmdiffkd.visualization.style import (
    ALONE,
    DISTILLED,
    GUIDE,
    SETTINGS,
    TEACHER,
)

from .machine import in_words

PARTS = dict(student=ALONE, teacher=TEACHER, connectors=DISTILLED)
"""Colours of the parts of a distillation."""


def draw(result: Mapping[str, Any]) -> Figure:
    """Draw time, peak memory and multiply-adds of each column.

    Args:
        result (Mapping): From :func:`.measure.measure`, or from its file.

    Returns:
        Figure: Three panels with a bar for each column.
    """
    rows = result['columns'][::-1]  # bars are drawn from below
    names = [_folded(row['name']) for row in rows]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(11, 1.9 + 0.42 * len(rows)))
        figure.set_layout_engine('constrained')
        time, memory, work = figure.subplots(1, 3, sharey=True)
        medians = [1e3 * row['time']['median'] for row in rows]
        error = [
            [
                1e3 * abs(row['time'][side] - row['time']['median'])
                for row in rows
            ]
            for side in ('low', 'high')
        ]
        time.barh(names, medians, color=DISTILLED)
        time.errorbar(
            medians, names, xerr=error, fmt='none', ecolor=GUIDE, capsize=3
        )
        for i, row in enumerate(rows):
            time.annotate(
                f'{row["of_student"]["median"]:.2f}x',
                (1e3 * row['time']['high'], i),
                xytext=(6, 0),
                textcoords='offset points',
                va='center',
                fontsize=8,
            )
        time.set(
            title='Time of a step',
            xlabel='ms, with quartiles, and times the student alone',
        )
        bars = memory.barh(
            names,
            [row['peak_memory'] / 2**20 for row in rows],
            color=DISTILLED,
        )
        memory.bar_label(bars, fmt='{:,.0f}', padding=3, fontsize=8)
        memory.set(title='Peak memory', xlabel='MiB')
        left = [0.0] * len(rows)
        for part, colour in PARTS.items():
            values = [row['multiply_adds'][part] / 1e9 for row in rows]
            work.barh(names, values, left=left, color=colour, label=part)
            left = [a + b for a, b in zip(left, values)]
        work.set(title='Multiply-adds', xlabel='G, forward and backward')
        figure.legend(
            *work.get_legend_handles_labels(),
            loc='outside lower right',
            ncols=len(PARTS),
        )
        for axes in (time, memory, work):
            axes.grid(axis='y', visible=False)
            axes.margins(x=0.18)
        height, width = result['settings']['size']
        figure.suptitle(
            f'{result["config"]}, {result["settings"]["batch_size"]} x '
            f'{height} x {width}; {in_words(result["machine"])}',
            fontsize=8,
        )
    return figure


def _folded(name: str, width: int = 24) -> str:
    """A long name in lines that end behind an underscore."""
    lines = ['']
    for word in name.replace('_', '_ ').split(' '):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append('')
        lines[-1] += word if word.endswith('_') else f'{word} '
    return '\n'.join(line.rstrip() for line in lines)
