# Copyright (c) mmdiffkd contributors.
"""A picture of a study: every seed of every method, and their means."""

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt

from .definition import Study
from .ledger import Ledger
from .rows import own_rows
from .tables import TITLES, results, summary


def draw(study: Study, ledger: Ledger, path: str) -> bool:
    """Draw the results of the comparison.

    Args:
        study (Study): What was compared.
        ledger (Ledger): Its results.
        path (str): Where to write it; the ending names the format.

    Returns:
        bool: Whether there was something to draw.
    """
    panels = {
        (data_set, purpose)
        for data_set in study.data_sets
        for purpose in study.purposes
        if any(own_rows(study, ledger, data_set, purpose=purpose))
    }
    if not panels:
        return False
    # A row for each data set, a column for each comparison.
    rows = [d for d in study.data_sets if any(d == p[0] for p in panels)]
    columns = [c for c in study.purposes if any(c == p[1] for p in panels)]
    heights = [1.5 + 0.2 * len(study.data_sets[d].methods) for d in rows]
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(5 * len(columns), sum(heights)),
        height_ratios=heights,
        squeeze=False,
    )
    for data_set, row in zip(rows, axes):
        for purpose, ax in zip(columns, row):
            if (data_set, purpose) in panels:
                _panel(ax, study, ledger, data_set, purpose)
            else:
                ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def _panel(ax, study: Study, ledger: Ledger, data_set: str, purpose: str):
    methods = list(study.data_sets[data_set].methods)
    ax.set_ylim(-0.5, len(methods) - 0.5)
    for y, method in enumerate(methods):
        values = list(
            results(study, ledger, data_set, method, purpose).values()
        )
        if not values:
            continue
        middle, deviation = summary(values)
        ax.plot(values, [y] * len(values), 'o', alpha=0.4, color='tab:blue')
        ax.errorbar(
            middle, y, xerr=deviation, fmt='|', color='black', capsize=4
        )
    ax.set_yticks(range(len(methods)), methods)
    ax.set_xlabel(f'{study.data_sets[data_set].metric}, {study.images} images')
    ax.set_title(f'{data_set}, {TITLES[purpose]}')
    ax.grid(axis='x', alpha=0.3)
