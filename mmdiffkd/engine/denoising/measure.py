# Copyright (c) mmdiffkd contributors.
"""How near the student's features come to the teacher's, step by step."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

import numpy as np
import torch

from mmdiffkd.diffusion import noise_sources
from mmdiffkd.diffusion.recorded_chain import RecordedPair, Stage
from mmdiffkd.models import FrozenTeacherDistill
from mmdiffkd.models.algorithms.recorded_features import record_pairs
from mmdiffkd.models.algorithms.teacher_input import normalisation
from mmdiffkd.utils.errors import UserError
from mmdiffkd.visualization.feature_maps import to_pixels

from .closeness import cosine, signal_to_noise

NUMBERS = (
    'cosine',
    'snr_db',
    'cosine_in_diffusion_space',
    'snr_db_in_diffusion_space',
)
"""Measured of a stage: as it is compared with the teacher's feature, and in
front of the output projection, in the diffusion model's own space."""


class Seen(NamedTuple):
    """One image, and its features.

    Attributes:
        path (Path): File of the image.
        pixels (np.ndarray | None): What the student sees, RGB, uint8, shape
            (H, W, 3), or (H, W); None where its normalisation is unknown.
        pairs (dict[str, RecordedPair]): Features by pair.
    """

    path: Path
    pixels: np.ndarray | None
    pairs: dict[str, RecordedPair]


class Measured:
    """Numbers of all images, by pair and stage."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self._values: dict[str, dict[str, dict[str, list[float]]]] = {}

    def add(self, seen: Seen) -> None:
        """Measure the features of an image."""
        self.images.append(seen.path.as_posix())
        for name, pair in seen.pairs.items():
            stages = self._values.setdefault(name, {})
            for stage in pair.stages:
                numbers = stages.setdefault(stage.name, {})
                for key, value in measure_stage(stage, pair).items():
                    numbers.setdefault(key, []).append(value)

    def summary(self) -> dict[str, Any]:
        """Plain values: means over the images, and those of each image.

        Returns:
            dict[str, Any]: ``images``, and ``pairs``. A pair has ``stages`` in
            their order, each with its ``name``, and for each of
            :data:`NUMBERS` that there is a ``mean``, a ``deviation`` and
            the ``values``; ``before`` and ``after`` name the stage in front
            of the chain and that behind it, which are one without a chain.
        """
        pairs = {}
        for name, stages in self._values.items():
            rows: list[dict[str, Any]] = [
                dict(
                    name=stage,
                    **{
                        key: dict(
                            mean=fmean(values),
                            deviation=pstdev(values),
                            values=values,
                        )
                        for key, values in numbers.items()
                    },
                )
                for stage, numbers in stages.items()
            ]
            pairs[name] = dict(
                before=rows[0]['name'], after=rows[-1]['name'], stages=rows
            )
        return dict(images=self.images, pairs=pairs)


def measure_stage(stage: Stage, pair: RecordedPair) -> dict[str, float]:
    """Cosine and signal-to-noise ratio of a stage, see :data:`NUMBERS`.

    Args:
        stage (Stage): One of the pair's.
        pair (RecordedPair): Of one image.

    Returns:
        dict[str, float]: The first two of :data:`NUMBERS`, and the other two
        where there is such a space.
    """
    sides = [(stage.compared, pair.teacher)]
    if stage.sample is not None and pair.clean is not None:
        sides.append((stage.sample, pair.clean))
    values = [
        measure(*both)
        for both in sides
        for measure in (cosine, signal_to_noise)
    ]
    return dict(zip(NUMBERS, values))


class Look:
    """Looks at one image at a time with a trained distillation.

    Args:
        model (FrozenTeacherDistill): In eval mode.
        reader (Callable): From the path of an image to a batch of it.
        seed (int): Of the noise, which is the same for every image. Defaults
            to 0.
    """

    def __init__(
        self,
        model: FrozenTeacherDistill,
        reader: Callable[[Path], Any],
        seed: int = 0,
    ) -> None:
        self.model, self.reader, self.seed = model, reader, seed
        #: Pairs that could not be recorded, and why.
        self.reasons: dict[str, str] = {}

    def __call__(self, path: Path) -> Seen:
        """Record the features of an image.

        Raises:
            UserError: If none can be recorded.
        """
        batch = self.model.data_preprocessor(self.reader(path), False)
        for _, source in noise_sources(self.model.distiller):
            source.set_state(dict(seed=self.seed, stream=None, generator=None))
        inputs, samples = batch['inputs'], batch.get('data_samples')
        pairs, reasons = record_pairs(self.model, inputs, samples)
        self.reasons.update(reasons)
        if not pairs:
            why = '; '.join(f'{k}: {v}' for k, v in reasons.items())
            raise UserError(
                'nothing that this distillation compares can be shown: '
                f'{why or "it compares nothing"}'
            )
        return Seen(path, self._pixels(inputs), pairs)

    def _pixels(self, inputs: torch.Tensor) -> np.ndarray | None:
        try:
            how = normalisation(self.model.data_preprocessor, 'student')
        except UserError:  # one that there is no way back from
            return None
        return to_pixels(inputs[0], *how)


def as_table(summary: dict[str, Any]) -> str:
    """Means over the images as text, a line for each pair.

    Args:
        summary (dict): From :meth:`Measured.summary`.

    Returns:
        str: Cosine and signal-to-noise ratio before and behind the chain.
    """
    width = max(map(len, (*summary['pairs'], 'pair')))
    lines = [
        f'{"pair":{width}}  cosine before  after   SNR (dB) before  after'
    ]
    for name, pair in summary['pairs'].items():
        first, last = pair['stages'][0], pair['stages'][-1]
        lines.append(
            f'{name:{width}}  {first["cosine"]["mean"]:13.3f}  '
            f'{last["cosine"]["mean"]:5.3f}   {first["snr_db"]["mean"]:15.2f}'
            f'  {last["snr_db"]["mean"]:5.2f}'
        )
    return '\n'.join(lines)
