# Copyright (c) mmdiffkd contributors.
"""Pictures of features on their way through a denoising chain."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .feature_maps import SIDE, draw_map, span
from .style import DISTILLED, GUIDE, SETTINGS, TEACHER, level_colours
from .task_view import show_image

MAPS = (
    'Maps: V = H W softmax(mean over channels / 0.5), 1 everywhere if even. '
    'Each has colours of its own, from its smallest value (dark blue) to its '
    'largest (yellow); both stand below it.'
)
LINES = (
    "Green: values of the feature, in the order of the teacher's from small "
    "to large; blue: the teacher's. The scale is the same in a row."
)
NUMBERS = 'cos, SNR: cosine and signal-to-noise ratio to the feature at right.'


class Row(NamedTuple):
    """One image, and the features of one pair.

    Attributes:
        name (str): Stands beside it.
        image (np.ndarray | None): RGB, uint8, shape (H, W, 3), or grey,
            shape (H, W).
        features (dict[str, np.ndarray]): By column, each from
            :func:`~mmdiffkd.visualization.feature_maps.as_picture`; the
            teacher's is the last.
        captions (list[str]): Below each of them; the teacher's may be left
            out.
    """

    name: str
    image: np.ndarray | None
    features: dict[str, np.ndarray]
    captions: list[str]


def draw_denoising(rows: Sequence[Row], title: str) -> Figure:
    """Draw the steps of a chain, a row for each image.

    Args:
        rows (Sequence[Row]): With the same columns.
        title (str): Headline.

    Returns:
        Figure: A panel for the image and for each feature.
    """
    columns = ['image', *rows[0].features]
    flat = any(
        values.ndim == 1 for row in rows for values in row.features.values()
    )
    with matplotlib.rc_context({**SETTINGS, 'axes.grid': False}):
        width = SIDE * len(columns) + 0.3
        note = '\n'.join(
            # Characters of that size that fit into the width (inches).
            textwrap.fill(line, int(13 * width))
            for line in (NUMBERS, LINES if flat else MAPS)
        )
        figure = Figure(
            figsize=(
                width,
                2.65 * len(rows) + 0.5 + 0.17 * (note.count('\n') + 1),
            ),
            layout='constrained',
        )
        figure.suptitle(
            textwrap.fill(title, int(8 * width)),
            x=0.01,
            ha='left',
            size=13,
            weight='bold',
        )
        figure.supxlabel(note, x=0.01, ha='left', size=9)
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for row, places in zip(rows, grid):
            places[0].set_ylabel(row.name, size=9, weight='bold')
            _draw_image(places[0], row.image)
            _draw_features(places[1:], row)
        for place, column in zip(grid[0], columns):
            place.set_title(column, loc='center')
    return figure


def _draw_image(axes: Axes, image: np.ndarray | None) -> None:
    if image is not None:
        show_image(axes, image)
        axes.set_xlabel(f'{image.shape[1]} x {image.shape[0]} pixels', size=8)
        return
    axes.text(0.5, 0.5, 'not known', ha='center', color=GUIDE)
    axes.set(xticks=[], yticks=[])


def _draw_features(places: Sequence[Axes], row: Row) -> None:
    pictures = list(row.features.values())
    teacher = pictures[-1]
    order = np.argsort(teacher, axis=None)
    for i, (axes, values) in enumerate(zip(places, pictures)):
        if values.ndim == 1:
            _draw_line(axes, values[order], teacher[order], pictures)
        else:
            draw_map(axes, values)
        if i < len(row.captions):
            axes.set_xlabel(
                f'{row.captions[i]}\n{axes.get_xlabel()}'.strip(), size=8
            )


def _draw_line(
    axes: Axes,
    values: np.ndarray,
    teacher: np.ndarray,
    all_values: Sequence[np.ndarray],
) -> None:
    """Draw a vector behind the teacher's, on the scale of all of a row."""
    low = min(float(v.min()) for v in all_values)
    high = max(float(v.max()) for v in all_values)
    axes.bar(np.arange(len(values)), values, 0.85, color=DISTILLED)
    axes.plot(np.arange(len(teacher)), teacher, color=TEACHER, linewidth=1.2)
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(min(low, 0.0) - margin, max(high, 0.0) + margin)
    axes.set_xticks([])
    axes.set_box_aspect(1)
    axes.tick_params(labelsize=7)
    axes.set_xlabel(f'{len(values)} values, {span(values)}', size=8)


def draw_means(summary: Mapping[str, Any], title: str) -> Figure:
    """Draw cosine and signal-to-noise ratio along the chain.

    Args:
        summary (Mapping): ``pairs`` with their ``stages``, as written by
            ``mmdiffkd visualize``.
        title (str): Headline.

    Returns:
        Figure: Two panels, with a curve for each pair: means over the images,
        and bars of one standard deviation.
    """
    pairs = summary['pairs']
    longest = max((p['stages'] for p in pairs.values()), key=len)
    count = len(longest)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(11, 4.2), layout='constrained')
        figure.suptitle(title, x=0.01, ha='left', size=13, weight='bold')
        panels = figure.subplots(1, 2)
        for axes, key, name in zip(
            panels,
            ('cosine', 'snr_db'),
            ('Cosine to the teacher', 'Signal-to-noise ratio (dB)'),
        ):
            for i, (pair, colour) in enumerate(
                zip(pairs, level_colours(len(pairs)))
            ):
                stages = pairs[pair]['stages']
                # Aligned at the end, and apart from each other.
                places = np.arange(count - len(stages), count) + 0.06 * (
                    i - (len(pairs) - 1) / 2
                )
                axes.errorbar(
                    places,
                    [stage[key]['mean'] for stage in stages],
                    yerr=[stage[key]['deviation'] for stage in stages],
                    color=colour,
                    marker='o',
                    markersize=4,
                    capsize=3,
                    label=pair,
                )
            axes.set_xticks(
                range(count), [stage['name'] for stage in longest], rotation=30
            )
            axes.set_xlim(-0.4, count - 0.6)
            axes.set_title(name)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc='outside lower center',
            ncols=min(len(pairs), 6),
        )
    return figure
