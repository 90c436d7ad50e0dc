# Copyright (c) mmdiffkd contributors.
"""Measure a recipe beside its student, its floor, and other recipes."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmdiffkd.utils.blame import is_defect
from mmdiffkd.utils.errors import UserError

from ..checks.devices import check_device
from ..sweep.batches import OtherInput, kind_of
from ..training_input import batch_size, input_size
from . import models
from .counts import Parts, Work, parameters, work_of
from .launches import launches
from .machine import machine
from .memory import peak_memory
from .step import FloorStep, Step
from .timing import clock_for, interleaved, ratios, spread

WARM_UP = 2
"""Rounds that do not count, after each step was taken a few times."""

ALONE, FLOOR, THIS = 'student alone', 'floor', 'this config'
"""The first columns; the others are called as their files are."""


class Settings(NamedTuple):
    """How to measure.

    Attributes:
        device (str): Such as ``'cpu'`` or ``'cuda:0'``.
        steps (int): Rounds that are timed.
        batch_size (int, optional): None for that of the config.
        size (tuple[int, int], optional): Height and width of the images, in
            pixels; None for those that the config trains with.
        amp (str, optional): Type of mixed precision; None for none.
    """

    device: str = 'cpu'
    steps: int = 20
    batch_size: int | None = None
    size: tuple[int, int] | None = None
    amp: str | None = None


class Column(NamedTuple):
    """What one step is measured as.

    Attributes:
        name (str): Of the column.
        config (str): That it is of.
        step (Step): To be timed.
        counted (dict): Multiply-adds and parameters, each by part.
    """

    name: str
    config: str
    step: Step
    counted: dict[str, dict[str, int]]


def measure(
    name: str,
    against: Sequence[str],
    settings: Settings,
    options: Sequence[Mapping[str, Any]] = (),
    say: Callable[[str], Any] = lambda _: None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Measure a training step of a recipe and of what it is compared with.

    Weights, images and labels are random, and nothing is downloaded. All
    models are on the device together; their steps are timed in interleaved
    rounds.

    Args:
        name (str): Config of a distillation: a file, or ``library::path``.
        against (Sequence[str]): Further configs, for the same task: of other
            distillations, of MMRazor's own algorithms too, or of plain
            models.
        settings (Settings): How.
        options (Sequence[Mapping]): For each, the recipe once more with these
            settings, by dotted names. Defaults to none.
        say (Callable): Is told what comes next. Defaults to not at all.
        progress (Callable): As for :func:`.timing.interleaved`.

    Returns:
        dict: Plain values for a JSON file: ``machine``, ``settings``, and
        ``columns``, a list of dicts with times, memory and counts.

    Raises:
        UserError: If a config is none of a distillation, or not for the same
            task, or its student cannot train on such a batch.
    """
    device = _device(settings)
    ran_on = machine(device)
    say(f'building {name}')
    cfg = models.read(name)
    torch.manual_seed(0)
    alone = models.build_student(cfg)
    kind = _kind(alone[0], name)
    settings = settings._replace(
        size=settings.size or input_size(cfg),
        batch_size=settings.batch_size or batch_size(cfg),
    )
    others = []
    for other in against:
        say(f'building {other}')
        others.append((Path(_path(other)).stem, other, models.read(other)))
        built = models.build(others[-1][-1])
        if _kind(models.student_of(built[0]), other) != kind:
            raise UserError(
                f'--against {other} trains another kind of model than '
                f'{name}: their batches differ'
            )
    for changed in options:
        others.append((_in_short(changed), name, models.read(name, changed)))
    columns = _columns_of_recipe(name, cfg, alone, settings, device, say)
    for stem, other, its in others:
        label = _label(stem, [column.name for column in columns])
        columns.append(
            _column_of_other(
                label, other, its, columns[0], settings, device, say
            )
        )
    say('timing')
    steps = {column.name: column.step for column in columns}
    clock, read_clock = clock_for(device)
    seconds = interleaved(steps, settings.steps, WARM_UP, read_clock, progress)
    rows = []
    for column in columns:
        say(f'memory of {column.name}')
        calls = launches(column.step, device)
        own = seconds[column.name]
        rows.append(
            dict(
                name=column.name,
                config=column.config,
                algorithm=type(column.step.model).__name__,
                seconds=own,
                time=spread(own),
                of_student=ratios(own, seconds[ALONE]),
                of_floor=ratios(own, seconds[FLOOR]),
                of_this=ratios(own, seconds[THIS]),
                peak_memory=peak_memory(column.step, device),
                **column.counted,
                kernel_launches=calls and calls.kernels,
                host_syncs=calls and calls.syncs,
            )
        )
    return dict(
        config=name,
        against=list(against),
        against_options=[dict(changed) for changed in options],
        machine=ran_on,
        settings=dict(
            settings._asdict(), warm_up=WARM_UP, seed=0, clock=clock
        ),
        columns=rows,
    )


def _columns_of_recipe(
    name: str,
    cfg: Config,
    alone: tuple[BaseModel, Config],
    settings: Settings,
    device: torch.device,
    say: Callable[[str], Any],
) -> list[Column]:
    """Student alone, floor and the whole."""
    student = _step(*alone, settings, device)
    say('the student alone')
    _try(student, f'the student of {name}', settings)
    built = models.build(cfg)
    _share_weights(alone[0], built[0])
    whole = _step(*built, settings, device)
    _try(whole, name, settings)
    say(f'counting {name}')
    return _counted(name, student, _count(student).multiply_adds, whole)


def _counted(
    name: str, student: Step, work_of_student: int, whole: Step
) -> list[Column]:
    """The columns of a distillation, given what its student does alone."""
    floor = FloorStep(whole)
    teacher = models.teacher_of(whole.model)
    least, most = _count(floor).multiply_adds, _count(whole, teacher)
    work = Parts(
        work_of_student,
        least - work_of_student,
        most.multiply_adds - least,
    )
    sizes = Parts(
        parameters(models.student_of(whole.model)),
        most.used_parameters,
        parameters(models.distiller_of(whole.model)),
    )
    columns = []
    for i, step in enumerate((student, floor, whole)):
        # Each column has one part more than the one before it.
        counted = {
            key: Parts(*part[: i + 1])._asdict()
            for key, part in (('multiply_adds', work), ('parameters', sizes))
        }
        columns.append(Column((ALONE, FLOOR, THIS)[i], name, step, counted))
    return columns


def _column_of_other(
    label: str,
    name: str,
    cfg: Config,
    alone: Column,
    settings: Settings,
    device: torch.device,
    say: Callable[[str], Any],
) -> Column:
    """The step of another config, beside the student of the recipe."""
    built = models.build(cfg)
    same = _share_weights(alone.step.model, built[0])
    whole = _step(*built, settings, device)
    _try(whole, f'--against {label}', settings)
    say(f'counting {label}')
    if models.distiller_of(built[0]) is None:
        work, size = _count(whole).multiply_adds, parameters(built[0])
        counted = dict(
            multiply_adds=Parts(work)._asdict(),
            parameters=Parts(size)._asdict(),
        )
        return Column(label, name, whole, counted)
    student = alone.step
    work = alone.counted['multiply_adds']['student']
    if not same:  # then its own is counted, and not timed
        own = models.build_student(cfg)
        _share_weights(models.student_of(built[0]), own[0])
        student = _step(*own, settings, device)
        work = _count(student).multiply_adds
    return _counted(name, student, work, whole)[-1]._replace(name=label)


def _try(step: Step, what: str, settings: Settings) -> None:
    """Take a step for the first time.

    Raises:
        UserError: If a library's layers fail: images of such a size are no
            input for them, or too many.
    """
    try:
        step()
    except Exception as error:
        if isinstance(error, UserError) or is_defect(error):
            raise
        assert settings.size is not None
        height, width = settings.size
        raise UserError(
            f'{what} cannot train on {settings.batch_size} random images of '
            f'{height} x {width}: {type(error).__name__}: {error}. Try '
            'another --input-size or --batch-size; --traceback shows where '
            'it fails'
        ) from error


def _count(step: Step, module: nn.Module | None = None) -> Work:
    """Count a step; all of them draw the same random numbers.

    Nothing is compiled: the counter would not see into it.
    """
    torch.manual_seed(0)
    # Versions of PyTorch before 2.6 have no such switch.
    stance = getattr(torch.compiler, 'set_stance', lambda _: nullcontext())
    with stance('force_eager'):
        return work_of(step, module)


def _step(
    model: BaseModel, cfg: Config, settings: Settings, device: torch.device
) -> Step:
    assert settings.size is not None and settings.batch_size is not None
    return Step(
        model, cfg, device, settings.size, settings.batch_size, settings.amp
    )


def _share_weights(student: BaseModel, model: BaseModel) -> bool:
    """Give the student in a model the weights of another, if it fits.

    What is computed may depend on them, as with the proposals of a detector.

    Returns:
        bool: Whether it does.
    """
    given = copy.deepcopy(student.state_dict())
    own = models.student_of(model)
    shapes = {name: value.shape for name, value in own.state_dict().items()}
    same = shapes == {name: value.shape for name, value in given.items()}
    if same:
        own.load_state_dict(given)
    return same


def _kind(model: Any, name: str) -> str:
    try:
        return kind_of(model)
    except OtherInput as other:
        raise UserError(
            f'{name}: no random batch can be made for its student, which '
            f'takes {other}'
        ) from None


def _path(name: str) -> str:
    return name.rpartition('::')[2]


def _in_short(options: Mapping[str, Any]) -> str:
    """Settings by the last words of their names."""
    return ', '.join(
        f'{key.rpartition(".")[2]}={value}' for key, value in options.items()
    )


def _label(stem: str, used: Sequence[str]) -> str:
    """A short name for a column, unlike those before it."""
    count = sum(u == stem or u.startswith(f'{stem} (') for u in used)
    return f'{stem} ({count + 1})' if count else stem


def _device(settings: Settings) -> torch.device:
    device = check_device(settings.device)
    if settings.amp is not None and device.type != 'cuda':
        raise UserError('--amp needs a GPU: name one by --device cuda')
    if device.type == 'cuda':
        torch.cuda.set_device(device)  # that the clock waits for
    return device
