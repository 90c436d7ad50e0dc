# Copyright (c) mmdiffkd contributors.
"""Colours and settings that the pictures share.

The colours are those of Okabe and Ito, told apart with any colour vision.
"""

import matplotlib

# By a name or '#rrggbb', or red, green, blue and opacity from 0 to 1.
Colour = str | tuple[float, float, float, float]

TEACHER, ALONE, DISTILLED = '#0072B2', '#E69F00', '#009E73'
TRUTH, FOUND, FALSE = '#000000', '#0072B2', '#D55E00'
GUIDE = '#555555'
# Of groups of runs; after the last it begins again.
GROUPS = (
    '#0072B2',
    '#D55E00',
    '#009E73',
    '#CC79A7',
    '#E69F00',
    '#56B4E9',
    '#000000',
)

SETTINGS = {
    'font.size': 9,
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e6e6e6',
    'legend.frameon': True,
    'legend.framealpha': 0.85,
    'legend.edgecolor': 'none',
    'legend.fontsize': 8,
    'figure.facecolor': 'white',
}


def level_colours(count: int) -> list[Colour]:
    """Return ordered colours for the levels of a pyramid, dark to light."""
    scale = matplotlib.colormaps['viridis']
    return [scale(0.88 * i / max(count - 1, 1)) for i in range(count)]
