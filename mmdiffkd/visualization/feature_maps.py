# Copyright (c) mmdiffkd contributors.
"""Draw features as maps of where they are active."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from .style import SETTINGS
from .task_view import show_image

SIDE = 2.2  # of a panel, in inches


def spatial_attention(feature: Tensor, temperature: float = 0.5) -> Tensor:
    """Show where a feature is active (appendix F.1 of DiffKD).

    ``V = H * W * softmax(mean_c(X) / temperature)``, the softmax over all
    positions, so that 1 is what an even map has everywhere. The weights of
    :class:`~mmdiffkd.models.AttentionMSELoss` are another such softmax, of
    absolute values in units of their root mean square over a batch.

    Args:
        feature (Tensor): X, shape (C, H, W).
        temperature (float): Small values concentrate on few positions.
            Defaults to 0.5.

    Returns:
        Tensor: V, shape (H, W), float32.
    """
    activity = feature.float().mean(dim=0)
    attention = (activity.flatten() / temperature).softmax(dim=0)
    return (attention * attention.numel()).view_as(activity)


def as_picture(feature: Tensor) -> np.ndarray:
    """What can be drawn of a feature.

    Args:
        feature (Tensor): Shape (C, H, W).

    Returns:
        np.ndarray: Its :func:`spatial_attention`, shape (H, W), or (L, ) of
        positions in one line, such as tokens; of a single position the
        values of its channels, shape (C, ).
    """
    if feature[0].numel() == 1:
        return feature.float().flatten().cpu().numpy()
    attention = spatial_attention(feature).cpu().numpy()
    return attention.ravel() if 1 in attention.shape else attention


def to_pixels(
    image: Tensor, mean: Tensor, std: Tensor, rgb: bool
) -> np.ndarray:
    """Undo the normalisation of an image.

    Args:
        image (Tensor): What a model sees, shape (C, H, W).
        mean (Tensor): What was subtracted, by channel, shape (C, ) or (1, ).
        std (Tensor): What it was divided by, likewise.
        rgb (bool): Whether the channels are RGB and not BGR.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3), or (H, W) where there are
        not three channels.
    """
    mean, std = mean.to(image.device), std.to(image.device)
    pixels = image.detach().float() * std[:, None, None] + mean[:, None, None]
    if not rgb:
        pixels = pixels.flip(0)
    pixels = pixels.permute(1, 2, 0) if len(pixels) == 3 else pixels.mean(0)
    return pixels.round().clamp(0, 255).byte().cpu().numpy()


def draw_feature_maps(
    rows: dict[str, dict[str, np.ndarray]],
    image: np.ndarray | None = None,
    dpi: int = 100,
) -> np.ndarray:
    """Draw maps in rows, each row beside the image that they are of.

    Each map has colours of its own, from its smallest value to its largest;
    below it stand the two.

    Args:
        rows (dict[str, dict[str, np.ndarray]]): Maps of shape (H, W) by row
            and column; all rows have the same columns.
        image (np.ndarray, optional): RGB, uint8, shape (H, W, 3), or grey,
            shape (H, W). Defaults to None.
        dpi (int): Pixels of an inch. Defaults to 100.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).
    """
    shapes = [m.shape for maps in rows.values() for m in maps.values()]
    aspect = np.clip(np.mean([w / h for h, w in shapes]), 0.5, 3)
    count = max(map(len, rows.values())) + (image is not None)
    with matplotlib.rc_context({**SETTINGS, 'axes.grid': False}):
        figure = Figure(
            figsize=(
                SIDE * aspect * count + 0.3,
                (SIDE + 0.25) * len(rows) + 0.25,
            ),
            dpi=dpi,
            layout='constrained',
        )
        canvas = FigureCanvasAgg(figure)
        grid = figure.subplots(len(rows), count, squeeze=False)
        for (name, maps), places in zip(rows.items(), grid):
            places[0].set_ylabel(name, size=10, weight='bold')
            if image is not None:
                show_image(places[0], image)
            for place, values in zip(places[-len(maps) :], maps.values()):
                draw_map(place, values)
        titles = ['image'] * (image is not None) + list(maps)
        for place, title in zip(grid[0], titles):
            place.set_title(title, loc='center')
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_map(axes: Axes, values: np.ndarray) -> None:
    """Draw a map (H, W), with its size and its range below it."""
    axes.imshow(values, interpolation='nearest', cmap='viridis')
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    height, width = values.shape
    axes.set_xlabel(f'{width} x {height}, {span(values)}', size=8)


def span(values: np.ndarray) -> str:
    """Smallest and largest value, with as many digits as tell them apart."""
    low, high = float(values.min()), float(values.max())
    digits = 3
    while (
        digits < 6
        and low != high
        and f'{low:.{digits}g}' == (f'{high:.{digits}g}')
    ):
        digits += 1
    return f'{low:.{digits}g} to {high:.{digits}g}'
