# Copyright (c) mmdiffkd contributors.
"""What a recipe costs, alone and with its cheaper settings."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from mmengine.config import Config

from mmdiffkd.utils.blame import any_of_users, frames_of
from mmdiffkd.utils.errors import UserError

from ..sweep.batches import OtherInput
from .ledger import BLOCK
from .models import build
from .not_counted import not_counted
from .real_sections import Found
from .settings import Setting, cheaper
from .step import DISTILLER, TEACHER, Step, Studio

MIB = 2**20
LEFT = 0.1
"""Share of a GPU's memory that is left to what no tensor shows: context of
CUDA, workspaces of cuDNN, blocks of the allocator that lie idle. An
assumption, not a measurement."""
FURTHER = 8
"""Times the images of a step that say how many more there may be."""


class Cost(NamedTuple):
    """A training step, and how it grows.

    Attributes:
        step (Step): With the batch that was asked for.
        per_image (float): Features of one image more, in bytes.
        largest_batch (int): Images that fit the GPU, 0 where not even one
            does.
    """

    step: Step
    per_image: float
    largest_batch: int


def cost_of(
    studio: Studio,
    count: int,
    size: tuple[int, int],
    gpu_memory: float,
    alone: bool = False,
) -> Cost:
    """Take two steps, the second with one image more.

    The line through them gives other batches: features grow with the images,
    weights, gradients and the optimizer's state do not. Where more than half
    of the features does not grow, as with few small images, it says little of
    many; two more steps are taken then, with up to :data:`FURTHER` times as
    many images.

    Args:
        studio (Studio): Of the model.
        count (int): Images of the batch.
        size (tuple[int, int]): Their height and width, in pixels.
        gpu_memory (float): Of the GPU, in GiB; :data:`LEFT` of it is not
            used.
        alone (bool): See :meth:`Studio.step`. Defaults to False.
    """
    free = gpu_memory * 2**30 * (1 - LEFT)
    pair = first = _two(studio, count, size, alone)
    largest = _largest(pair, count, free)
    while largest > count and not _grows(pair, count):
        count = min(largest, FURTHER * count)
        pair = _two(studio, count, size, alone)
        largest = _largest(pair, count, free)
    return Cost(first[0], _growth(pair), largest)


def _two(
    studio: Studio, count: int, size: tuple[int, int], alone: bool
) -> tuple[Step, Step]:
    return (
        studio.step(count, size, alone),
        studio.step(count + 1, size, alone),
    )


def _growth(pair: tuple[Step, Step]) -> int:
    return max(pair[1].features - pair[0].features, 0)


def _grows(pair: tuple[Step, Step], count: int) -> bool:
    """Whether the features are for the most part those of the images."""
    return 2 * _growth(pair) * count >= pair[0].features


def _largest(pair: tuple[Step, Step], count: int, free: float) -> int:
    """Images that fit, by a line for each of two moments.

    Memory is at its peak where the features are most, or where gradients or
    the optimizer's own tensors have come to them.
    """
    fits = []
    for moment in ('peak', 'with_features'):
        one, more = (getattr(step, moment) for step in pair)
        fits.append(count + math.floor((free - one) / max(more - one, 1)))
    return max(min(fits), 0)


def estimate(
    cfg: Config,
    count: int,
    size: tuple[int, int],
    gpu_memory: float = 24,
    settings: bool = True,
    block: int = BLOCK,
) -> dict[str, Any]:
    """Estimate the cost of a training from its config.

    Args:
        cfg (Config): Of a distillation, or of a plain model.
        count (int): Images a GPU.
        size (tuple[int, int]): Their height and width, in pixels.
        gpu_memory (float): Of one GPU, in GiB. Defaults to 24.
        settings (bool): Whether to try cheaper ones, and the student alone.
            Defaults to True.
        block (int): See :class:`~.ledger.Ledger`.

    Returns:
        dict: For JSON. Memory is in MiB, multiply-adds are of one step;
        ``parts`` has those of student, teacher and distiller (connectors and
        distances), and their share of ``peak``.

    Raises:
        UserError: If no step can be taken on such a batch.
    """
    model, own = build(cfg)
    found = Found()
    with _told(count, size):
        studio = Studio(model, own, block, found)
        cost = cost_of(studio, count, size, gpu_memory)
    result = dict(
        batch_size=count,
        input_size=list(size),
        gpu_memory=gpu_memory,
        **_row(cost),
        parts=_parts(cost.step),
        run_for_real=cost.step.real,
        not_counted=not_counted(cfg),
    )
    if TEACHER not in cost.step.parameters:
        return result
    result['times_floor'] = _all(cost.step) / (
        _all(cost.step) - _all(cost.step, DISTILLER)
    )
    if not settings:
        return result
    alone = cost_of(studio, count, size, gpu_memory, alone=True)
    result['student_alone'] = _row(alone)
    result['settings'] = {
        setting.name: dict(
            change=setting.change,
            **_row(
                cost_of(
                    Studio(*build(_changed(cfg, setting)), block, found),
                    count,
                    size,
                    gpu_memory,
                )
            ),
        )
        for setting in cheaper(cfg, model)
    }
    return result


@contextmanager
def _told(count: int, size: tuple[int, int]) -> Iterator[None]:
    """Name the batch that no step can be taken on."""
    try:
        yield
    except OtherInput as other:
        raise UserError(
            f'no random batch can be made for this model, which takes {other}'
        ) from None
    except Exception as error:  # whatever the library's own layers say
        if isinstance(error, UserError) or any_of_users(frames_of(error)):
            raise
        height, width = size
        raise UserError(
            f'no step can be taken on {count} random images of {height} x '
            f'{width}: {type(error).__name__}: {error}. Try another '
            '--input-size or --batch-size; --traceback shows where it fails'
        ) from error


def _changed(cfg: Config, setting: Setting) -> Config:
    changed = copy.deepcopy(cfg)
    changed.merge_from_dict(dict(setting.options))
    return changed


def _row(cost: Cost) -> dict[str, Any]:
    return dict(
        peak=cost.step.peak / MIB,
        per_image=cost.per_image / MIB,
        multiply_adds=_all(cost.step),
        largest_batch=cost.largest_batch,
    )


def _all(step: Step, part: str | None = None) -> int:
    return sum(
        number
        for (name, _), number in step.multiply_adds.items()
        if part in (None, name)
    )


def _parts(step: Step) -> dict[str, Any]:
    parts = {}
    for name, parameters in step.parameters.items():
        memory = {
            kind: step.at_peak[name, kind] / MIB
            for kind in ('weights', 'gradients', 'optimizer', 'features')
        }
        parts[name] = dict(
            parameters=parameters,
            trained=step.trained[name] if name != TEACHER else 0,
            forward=step.multiply_adds[name, 'forward'],
            backward=step.multiply_adds[name, 'backward'],
            peak=memory,
        )
    return parts
