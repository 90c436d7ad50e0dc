# Copyright (c) mmdiffkd contributors.
"""Compose scenes of handwritten digits on a cluttered background.

A scene knows the visible pixels of every digit. The boxes of a detection
set, the label map of a segmentation set and the crops of a classification
set all follow from them; writing files is left to other modules.
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .backdrop import draw_clutter, make_backdrop
from .digits import DigitPool


@dataclass(frozen=True)
class SceneStyle:
    """What scenes look like. Lengths are in pixels, angles in degrees.

    Args:
        height (int): Height of the image. Defaults to 128.
        width (int): Width of the image. Defaults to 128.
        digits (Tuple[int, int]): Least and most digits. Defaults to (2, 5).
        sizes (Tuple[int, int]): Least and most height of a digit's cell, of
            which the ink fills about four fifths. Defaults to (24, 64).
        rotation (float): Largest rotation to either side. Defaults to 15.
        contrast (float): Least distance of a digit's colour from the ground
            under it, in grey levels. Defaults to 45.
        clutter (Tuple[int, int]): Least and most distractors (strokes and
            scrambled handwriting). Defaults to (2, 6).
        noise (float): Largest deviation of the sensor noise, in grey levels.
            Defaults to 14.
    """

    height: int = 128
    width: int = 128
    digits: tuple[int, int] = (2, 5)
    sizes: tuple[int, int] = (24, 64)
    rotation: float = 15
    contrast: float = 45
    clutter: tuple[int, int] = (2, 6)
    noise: float = 14

    def to_dict(self) -> dict:
        """Return the fields as JSON would give them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


class SceneDigit(NamedTuple):
    """One digit of a scene.

    Attributes:
        label (int): Digit 0 to 9.
        sample_id (int): Handwriting sample it was made from.
        mask (np.ndarray): Its visible pixels, bool, shape (H, W).
    """

    label: int
    sample_id: int
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box of the visible pixels as (x, y, width, height)."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        cols = np.flatnonzero(self.mask.any(axis=0))
        return (
            int(cols[0]),
            int(rows[0]),
            int(cols[-1] - cols[0] + 1),
            int(rows[-1] - rows[0] + 1),
        )


class Scene(NamedTuple):
    """An image (RGB, uint8, shape (H, W, 3)) and the digits in it."""

    image: np.ndarray
    digits: list[SceneDigit]


class SceneComposer:
    """Draw scenes from one pool of handwriting.

    Args:
        pool (DigitPool): Handwriting to draw from.
        style (SceneStyle): Look of the scenes. Defaults to SceneStyle().
    """

    # Of a digit's ink, the share that must stay visible under later digits.
    min_visible = 0.85

    def __init__(
        self, pool: DigitPool, style: SceneStyle = SceneStyle()
    ) -> None:
        self.pool = pool
        self.style = style

    def compose(self, rng: np.random.Generator) -> Scene:
        """Compose one scene; equal generators give equal scenes."""
        style = self.style
        canvas = make_backdrop(rng, style.height, style.width)
        draw_clutter(
            canvas,
            rng,
            int(rng.integers(*style.clutter, endpoint=True)),
            self.pool.images,
        )
        digits: list[SceneDigit] = []
        inks: list[int] = []  # pixels of each, before others hid some
        for _ in range(rng.integers(*style.digits, endpoint=True)):
            alpha, row = self._place(rng, digits, inks)
            if alpha is None:
                continue  # no free place left: the scene has one digit less
            self._paint(canvas, alpha, rng)
            mask = alpha > 0.5
            digits = [d._replace(mask=d.mask & ~mask) for d in digits]
            digits.append(
                SceneDigit(
                    int(self.pool.labels[row]), int(self.pool.ids[row]), mask
                )
            )
            inks.append(int(mask.sum()))
        canvas += rng.normal(0, rng.uniform(0, style.noise), canvas.shape)
        return Scene(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), digits)

    def _place(
        self,
        rng: np.random.Generator,
        digits: list[SceneDigit],
        inks: list[int],
    ) -> tuple[np.ndarray | None, int]:
        """Find a place for a digit that hides little of the others."""
        row = int(rng.integers(len(self.pool.labels)))
        for _ in range(20):
            alpha = self._warp(self.pool.images[row], rng)
            mask = alpha > 0.5
            if mask.sum() < 30:  # unreadable for anybody
                continue
            if all(
                (d.mask & ~mask).sum() >= self.min_visible * ink
                for d, ink in zip(digits, inks)
            ):
                return alpha, row
        return None, row

    def _warp(self, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Scale, turn and shift 8 x 8 ink to opacity on the canvas."""
        style = self.style
        low, high = np.log(style.sizes)
        size = np.exp(rng.uniform(low, high))
        scale_y = size / 8
        scale_x = scale_y * rng.uniform(0.85, 1.15)
        angle = np.deg2rad(rng.uniform(-style.rotation, style.rotation))
        cos, sin = np.cos(angle), np.sin(angle)
        centre = [
            rng.uniform(0.45 * size, side - 0.45 * size)
            for side in (style.width, style.height)
        ]
        linear = np.array(
            [[cos * scale_x, -sin * scale_y], [sin * scale_x, cos * scale_y]]
        )
        # 4.5 is the middle of the padded 10 x 10 ink.
        shift = np.array(centre) - linear @ np.array([4.5, 4.5])
        warped = cv2.warpAffine(
            np.pad(ink, 1),
            np.column_stack([linear, shift]),
            (style.width, style.height),
            flags=cv2.INTER_CUBIC,
        )
        # Steepens the blurred edge of the enlarged ink to a pen stroke's.
        return np.clip((warped - 0.3) / 0.3, 0, 1)

    def _paint(
        self, canvas: np.ndarray, alpha: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Blend a digit into the canvas in a colour that stands out."""
        ground = canvas[alpha > 0.5].mean(axis=0)
        colours = rng.uniform(0, 255, (32, 3))
        contrasts = np.abs((colours - ground).mean(axis=1))
        # The first that stands out; else the one that stands out most.
        enough = contrasts >= min(self.style.contrast, contrasts.max())
        colour = colours[enough.argmax()]
        opacity = alpha[..., None] * rng.uniform(0.75, 1)
        canvas += opacity * (colour - canvas)
