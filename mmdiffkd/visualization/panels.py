# Copyright (c) mmdiffkd contributors.
"""The single panels of a report on a distillation."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from .run_log import Curve
from .style import GUIDE, Colour, level_colours


def smooth(values: np.ndarray, width: int = 9) -> np.ndarray:
    """Return the centred running mean; shorter windows at both ends.

    Args:
        values (np.ndarray): Values at even distances, shape (N, ).
        width (int): Window, an odd number of values. Defaults to 9.
    """
    window = np.ones(min(width, (len(values) - 1) // 2 * 2 + 1))
    return np.convolve(values, window, 'same') / np.convolve(
        np.ones_like(values), window, 'same'
    )


def draw_bars(
    axes: Axes,
    title: str,
    bars: dict[str, dict[str, float]],
    colours: Mapping[str, Colour],
) -> None:
    """Draw the metrics of several models beside each other.

    Args:
        axes (Axes): Where to draw.
        title (str): Headline.
        bars (Dict[str, Dict[str, float]]): Height by metric and model.
        colours (Mapping[str, Colour]): Colours by model.
    """
    names = list(next(iter(bars.values())))
    width = 0.8 / len(bars)
    for i, (model, heights) in enumerate(bars.items()):
        shift = (i - (len(bars) - 1) / 2) * width
        places = np.arange(len(names)) + shift
        drawn = axes.bar(
            places, list(heights.values()), 0.92 * width, color=colours[model]
        )
        axes.bar_label(drawn, fmt='%.1f', fontsize=7.5, padding=1)
        drawn.set_label(model)
    axes.set(title=title, xticks=range(len(names)))
    axes.set_xticklabels(names)
    axes.margins(y=0.12)
    axes.grid(False, axis='x')
    axes.legend(loc='upper left', bbox_to_anchor=(0, 0.99))
    # Room for the legend above the bars.
    axes.set_ylim(0, max(1, axes.get_ylim()[1] * 1.35))


def draw_curves(
    axes: Axes,
    title: str,
    curves: dict[str, Curve],
    colours: Mapping[str, Colour],
    log: bool = False,
    smoothed: bool = True,
) -> None:
    """Draw curves over the iteration: pale as logged, strong smoothed.

    Args:
        axes (Axes): Where to draw.
        title (str): Name of the quantity.
        curves (Dict[str, Curve]): Curves by name.
        colours (Mapping[str, Colour]): Colours by name.
        log (bool): Whether the scale of the values is logarithmic.
            Defaults to False.
        smoothed (bool): Whether to draw a running mean over the points.
            Otherwise the points themselves, marked. Defaults to True.
    """
    for name, (steps, values) in curves.items():
        colour = colours[name]
        if smoothed:
            axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(
                steps, smooth(values), color=colour, linewidth=1.7, label=name
            )
        else:
            axes.plot(
                steps,
                values,
                color=colour,
                linewidth=1.7,
                marker='o',
                markersize=4,
                label=name,
            )
    axes.set(title=title, xlabel='iteration')
    if log:
        use_log_scale(axes)
    axes.margins(y=0.1)
    if not curves:
        axes.text(
            0.5,
            0.5,
            'nothing logged',
            ha='center',
            va='center',
            transform=axes.transAxes,
            color='0.4',
        )
    elif len(curves) > 1 or '' not in curves:
        axes.legend(loc='best', ncols=2 if len(curves) > 3 else 1)


def draw_levels(axes: Axes, family: str, levels: dict[str, Curve]) -> None:
    """Draw one quantity of the distillation, a curve for each level.

    Args:
        axes (Axes): Where to draw.
        family (str): Logged name of the quantity, such as ``loss_diff``.
        levels (Dict[str, Curve]): Curves by level.
    """
    title = TITLES.get(family, family)
    positive = all((values > 0).all() for _, values in levels.values())
    curves = {level.upper(): curve for level, curve in levels.items()}
    draw_curves(
        axes,
        title,
        curves,
        dict(zip(curves, level_colours(len(curves)))),
        log='loss' in family and positive,
    )
    mark_meaning(axes, family)


def mark_meaning(axes: Axes, family: str) -> None:
    """Draw the line that tells what a value of a quantity means, if any."""
    if family == 'loss_diff':
        _mark(axes, 1, 'predicting nothing')
    elif family.startswith('gamma'):
        axes.set_ylim(0, 1.12)
        _mark(axes, 1, 'no noise added')


TITLES = dict(
    loss_kd='KD loss: denoised student to teacher',
    loss_diff='Diffusion loss (loss_diff)',
    loss_ae='Autoencoder loss (loss_ae)',
    gamma_mean='Noise matching: mean gamma',
    feature_scale='Scale of the teacher feature',
)


def _mark(axes: Axes, height: float, text: str) -> None:
    """Draw a dashed line with its meaning written on it."""
    axes.axhline(height, color=GUIDE, linestyle='--', linewidth=1.2)
    axes.annotate(
        text,
        (1, height),
        xycoords=('axes fraction', 'data'),
        xytext=(-2, 2),
        textcoords='offset points',
        ha='right',
        va='bottom',
        color=GUIDE,
        fontsize=8,
        bbox=dict(facecolor='white', edgecolor='none', alpha=0.7, pad=0.5),
    )


def use_log_scale(axes: Axes) -> None:
    """Use a logarithmic scale with plain numbers on it."""
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    axis = axes.yaxis
    # Within two decades the powers of ten alone say too little.
    subs = (1, 2, 5) if high / low < 100 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter('{x:g}'))
    axis.set_minor_formatter(NullFormatter())
