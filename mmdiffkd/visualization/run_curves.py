# Copyright (c) mmdiffkd contributors.
"""Curves of several runs, with mean and deviation of those of one config."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .panels import TITLES, mark_meaning, smooth, use_log_scale
from .run_groups import TASK_LOSS, Band, RunGroup
from .style import GROUPS, SETTINGS, Colour, level_colours

COLUMNS = 3


def draw_runs(groups: Sequence[RunGroup], keys: Sequence[str]) -> Figure:
    """Draw a panel for each quantity.

    With one group, the levels of a quantity have a curve each; with several,
    each group has one, the mean over the levels.

    Args:
        groups (Sequence[RunGroup]): Runs.
        keys (Sequence[str]): Quantities, see
            :func:`~mmdiffkd.visualization.run_groups.choose_keys`.

    Returns:
        Figure: With a legend and a line on what is drawn below the panels.
    """
    columns = min(COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(
            figsize=(max(4.6 * columns, 7.5), 3.2 * rows + 0.9),
            layout='constrained',
        )
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, key in zip(panels, keys):
            _panel(axes, groups, key)
        for axes in panels[len(keys) :]:
            axes.set_visible(False)
        names = [f'{group.name} ({_runs(group)})' for group in groups]
        if len(groups) == 1:  # its curves have the colours of its levels
            figure.suptitle(names[0], x=0.01, ha='left', size=10)
        else:
            handles = [
                matplotlib.lines.Line2D([], [], color=_colour(i), linewidth=2)
                for i, _ in enumerate(groups)
            ]
            figure.legend(
                handles,
                names,
                loc='outside upper left',
                ncols=min(len(groups), 3),
            )
        figure.supxlabel(_note(groups), x=0.01, ha='left', size=8)
    return figure


def _panel(axes: Axes, groups: Sequence[RunGroup], key: str) -> None:
    bands: dict[str, Band] = {}
    colours: dict[str, Colour] = {}
    smoothed = True
    if len(groups) == 1 and len(levels := groups[0].levels(key)) > 1:
        bands, shades = levels, level_colours(len(levels))
        colours = dict(zip(levels, shades))
    else:
        for i, group in enumerate(groups):
            if key in group.quantities():
                bands[group.name] = group.band(key)
                colours[group.name] = _colour(i)
        smoothed = all(key not in run.val for g in groups for run in g.runs)
    draw_bands(axes, bands, colours, smoothed)
    axes.set(title=TITLES.get(key, _title(key)), xlabel='iteration')
    drawn = [band.mean for band in bands.values() if len(band.mean)]
    if 'loss' in key and drawn and min(map(np.min, drawn)) > 0:
        use_log_scale(axes)
    mark_meaning(axes, key)
    if len(groups) == 1 and len(bands) > 1:
        axes.legend(loc='best', ncols=2 if len(bands) > 3 else 1)


def draw_bands(
    axes: Axes,
    bands: Mapping[str, Band],
    colours: Mapping[str, Colour],
    smoothed: bool = True,
) -> None:
    """Draw means as lines and deviations as bands around them.

    Args:
        axes (Axes): Where to draw.
        bands (Mapping[str, Band]): By name.
        colours (Mapping[str, Colour]): Likewise.
        smoothed (bool): Whether to draw running means over the iterations,
            and of a single run what was logged, pale, as well. Otherwise the
            points are marked. Defaults to True.
    """
    for name, band in bands.items():
        if not len(band.steps):
            continue
        colour = colours[name]
        mean = smooth(band.mean) if smoothed else band.mean
        axes.plot(
            band.steps,
            mean,
            color=colour,
            linewidth=1.7,
            marker=None if smoothed else 'o',
            markersize=4,
            label=name,
        )
        if band.deviation is not None:
            around = smooth(band.deviation) if smoothed else band.deviation
            axes.fill_between(
                band.steps,
                mean - around,
                mean + around,
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        elif smoothed:
            axes.plot(
                band.steps, band.mean, color=colour, alpha=0.25, linewidth=0.8
            )
    axes.margins(y=0.1)


def _title(key: str) -> str:
    if key == TASK_LOSS:
        return "The task's own loss"
    return 'Sum of all losses (loss)' if key == 'loss' else key


def _runs(group: RunGroup) -> str:
    return f'{len(group.runs)} run{"s" * (len(group.runs) > 1)}'


def _colour(index: int) -> str:
    return GROUPS[index % len(GROUPS)]


def _note(groups: Sequence[RunGroup]) -> str:
    """What lines and bands are."""
    note = 'Lines: running means over nine logged values'
    if any(len(group.runs) > 1 for group in groups):
        note += ', of the mean over runs; bands: one standard deviation'
    if any(len(group.runs) == 1 for group in groups):
        note += '; pale: a single run as logged'
    return f'{note}. Metrics are not smoothed.'
