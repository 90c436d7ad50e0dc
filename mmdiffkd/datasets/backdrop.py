# Copyright (c) mmdiffkd contributors.
"""What lies behind and between the digits of a scene."""

import cv2
import numpy as np

INK = (1.0,)  # a colour of OpenCV: full opacity, one channel


def make_backdrop(
    rng: np.random.Generator, height: int, width: int
) -> np.ndarray:
    """Draw coloured texture: smooth noise of several grain sizes.

    Args:
        rng (np.random.Generator): Source of randomness.
        height (int): Height in pixels.
        width (int): Width in pixels.

    Returns:
        np.ndarray: RGB, float64, about 0 to 255, shape (height, width, 3).
    """
    canvas: np.ndarray = np.empty((height, width, 3))
    canvas[:] = rng.uniform(60, 195) + rng.uniform(-40, 40, 3)
    for cells, strength in ((3, 30), (9, 16), (40, 10)):
        # Mostly brightness, a little colour, as in paper, cloth and stone.
        grain = rng.normal(0, 1, (cells, cells, 1)) + rng.normal(
            0, 0.5, (cells, cells, 3)
        )
        grain *= strength * rng.uniform(0.3, 1)
        canvas += cv2.resize(
            grain, (width, height), interpolation=cv2.INTER_CUBIC
        )
    return canvas


def draw_clutter(
    canvas: np.ndarray, rng: np.random.Generator, count: int, inks: np.ndarray
) -> None:
    """Draw distractors: pen strokes, and handwriting cut up and shuffled.

    Args:
        canvas (np.ndarray): RGB image to draw on, changed in place.
        rng (np.random.Generator): Source of randomness.
        count (int): Number of distractors.
        inks (np.ndarray): Handwriting to cut up, shape (N, 8, 8).
    """
    for _ in range(count):
        if rng.random() < 0.5:
            alpha = _stroke(canvas.shape[:2], rng)
        else:
            alpha = _scrambled(
                canvas.shape[:2], rng, inks[rng.integers(len(inks))]
            )
        opacity = alpha[..., None] * rng.uniform(0.3, 0.9)
        canvas += opacity * (rng.uniform(0, 255, 3) - canvas)


def _stroke(shape: tuple, rng: np.random.Generator) -> np.ndarray:
    """Return the opacity of one straight or bent stroke."""
    height, width = shape
    alpha = np.zeros(shape, np.float32)
    centre = [int(rng.integers(side)) for side in (width, height)]
    if rng.random() < 0.5:
        end = [int(c + rng.normal(0, 0.2 * width)) for c in centre]
        cv2.line(alpha, centre, end, INK, int(rng.integers(2, 6)), cv2.LINE_AA)
    else:
        axes = [int(rng.uniform(0.05, 0.3) * width) for _ in range(2)]
        start = rng.uniform(0, 360)
        cv2.ellipse(
            alpha,
            centre,
            axes,
            rng.uniform(0, 180),
            start,
            start + rng.uniform(60, 220),
            INK,
            int(rng.integers(2, 6)),
            cv2.LINE_AA,
        )
    return cv2.GaussianBlur(alpha, (3, 3), 0)


def _scrambled(
    shape: tuple, rng: np.random.Generator, ink: np.ndarray
) -> np.ndarray:
    """Return the opacity of a digit whose quarters changed places.

    It has the strokes of handwriting but is no digit, so that a detector
    must look at the whole.
    """
    quarters = [ink[:4, :4], ink[:4, 4:], ink[4:, :4], ink[4:, 4:]]
    # A cyclic shift moves every quarter; a turn breaks up what still fits.
    shift = rng.integers(1, 4)
    quarters = [
        np.rot90(quarters[(i + shift) % 4], int(rng.integers(1, 4)))
        for i in range(4)
    ]
    glyph = np.block([quarters[:2], quarters[2:]])
    size = int(rng.integers(20, 56))
    glyph = cv2.resize(
        np.pad(glyph, 1), (size, size), interpolation=cv2.INTER_CUBIC
    )
    glyph = np.clip((glyph - 0.3) / 0.3, 0, 1)
    alpha = np.zeros(shape, np.float32)
    y, x = (int(rng.integers(side - size + 1)) for side in shape)
    alpha[y : y + size, x : x + size] = glyph
    return alpha
