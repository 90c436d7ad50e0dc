# Copyright (c) mmdiffkd contributors.
"""From recorded features to their pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mmdiffkd.diffusion.recorded_chain import RecordedPair
from mmdiffkd.visualization.denoising import Row, draw_denoising, draw_means
from mmdiffkd.visualization.feature_maps import as_picture

from .measure import NUMBERS, Seen, measure_stage


def draw(
    seen: Sequence[Seen], summary: Mapping[str, Any], title: str
) -> Iterator[tuple[str, Figure]]:
    """Draw a picture of each pair, and one of the means.

    Args:
        seen (Sequence[Seen]): Images to draw, a row each.
        summary (Mapping): Numbers of all images, see
            :meth:`~mmdiffkd.engine.denoising.measure.Measured.summary`.
        title (str): What was trained.

    Yields:
        tuple[str, Figure]: Name of the file, and the picture.
    """
    for name in summary['pairs']:
        rows = [
            row_of(one, one.pairs[name]) for one in seen if name in one.pairs
        ]
        if rows:
            yield f'{name}.png', draw_denoising(rows, f'{name}: {title}')
    count = len(summary['images'])
    yield (
        'means.png',
        draw_means(
            summary, f'{title}: means and deviations over {count} images'
        ),
    )


def row_of(seen: Seen, pair: RecordedPair) -> Row:
    """One image and its features, with their numbers."""
    features = {s.name: as_picture(s.compared[0]) for s in pair.stages}
    captions = []
    for stage in pair.stages:
        found = measure_stage(stage, pair)
        # No minus in front of a zero.
        near, ratio = (round(found[key], 2) + 0.0 for key in NUMBERS[:2])
        captions.append(f'cos {near:.2f}, SNR {round(ratio, 1) + 0.0:.1f} dB')
    features['teacher'] = as_picture(pair.teacher[0])
    if features['teacher'].ndim == 2:
        captions.append(f'{pair.teacher.shape[1]} channels')
    return Row(seen.path.name, seen.pixels, features, captions)
