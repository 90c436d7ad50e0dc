# Copyright (c) mmdiffkd contributors.
"""What a student feature looks like at each step of its denoising."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .feature_diffusion import FeatureDiffusion
from .feature_mimicking import FeatureMimicking
from .paired_output import PairedOutput
from .target import Target
from .teacher_diffusion import TeacherDiffusion


class Stage(NamedTuple):
    """A student feature on its way to the teacher's.

    Attributes:
        name (str): ``'student'``, in front of the chain; ``'t = 400'`` and so
            on, what the denoiser sees at that timestep; ``'denoised'``.
        compared (Tensor): As the distance would see it if the chain ended
            there, shape (N, L, H, W).
        sample (Tensor | None): In the diffusion model's own space, in front
            of the output projection: ``x_t / sqrt(a_t)``, so that a denoiser
            that predicts no noise leaves it as it is. Same shape; None where
            there is no such space.
    """

    name: str
    compared: Tensor
    sample: Tensor | None = None


class RecordedPair(NamedTuple):
    """A pair of features, from the student's to the teacher's.

    Attributes:
        stages (list[Stage]): The first is the student in front of the chain,
            the last what is compared. They are one where there is no chain.
        teacher (Tensor): What ``compared`` is to become, (N, L, H, W).
        clean (Tensor | None): What ``sample`` is to become, likewise.
    """

    stages: list[Stage]
    teacher: Tensor
    clean: Tensor | None = None


class _Watch:
    """Samples and timesteps that a chain hands to its denoiser."""

    def __init__(self, core: TeacherDiffusion) -> None:
        self.samples: list[Tensor] = []
        self.timesteps: list[Tensor] = []
        self.end: Tensor | None = None
        self._inside = False
        self._core = core

    def __enter__(self) -> '_Watch':
        sampler: nn.Module = self._core.sampler
        self._handles = [
            sampler.register_forward_pre_hook(self._begin),
            sampler.register_forward_hook(self._finish),
            self._core.denoiser.register_forward_pre_hook(self._step),
        ]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, *_: Any) -> None:
        self._inside = True

    def _finish(self, sampler: nn.Module, args: Any, end: Tensor) -> None:
        self._inside, self.end = False, end

    def _step(self, denoiser: nn.Module, args: tuple[Tensor, Tensor]) -> None:
        # The diffusion loss asks the denoiser too, outside of the chain.
        if self._inside:
            self.samples.append(args[0])
            self.timesteps.append(args[1])


@torch.no_grad()
def record_pair(
    core: nn.Module | None,
    student_feature: Tensor,
    teacher_feature: Tensor,
    run: Callable[[], PairedOutput],
) -> RecordedPair:
    """Run a paired connector, and keep each step of its chain.

    Args:
        core (nn.Module, optional): What the connector holds: a
            :class:`TeacherDiffusion`, a :class:`FeatureMimicking`, or another
            module, or None, of which the two sides alone are known. In eval
            mode, or its running statistics change.
        student_feature (Tensor): What the connector is given.
        teacher_feature (Tensor): Likewise.
        run (Callable): Calls the connector.

    Returns:
        RecordedPair: Detached.

    Raises:
        ValueError: If the features do not fit.
    """
    if isinstance(core, TeacherDiffusion):
        return _of_chain(core, student_feature, teacher_feature, run)
    output = run()
    student, teacher = _as_map(output.student), _as_map(output.teacher)
    if not isinstance(core, FeatureMimicking):
        return RecordedPair([Stage('student', student)], teacher)
    mapped, _ = core.as_maps(student_feature, teacher_feature)
    # The diffusion model's units, which have no diffusion model here.
    size = teacher.square().mean().clamp(min=1e-12).sqrt()
    sample = core.gain * core.project(mapped)
    return RecordedPair(
        [Stage('student', student, sample)], teacher, teacher / size
    )


def _of_chain(
    core: TeacherDiffusion,
    student_feature: Tensor,
    teacher_feature: Tensor,
    run: Callable[[], PairedOutput],
) -> RecordedPair:
    with _Watch(core) as seen:
        run()
    if seen.end is None or not seen.samples:
        raise ValueError(
            f'{type(core.sampler).__name__} has called no denoiser: there is '
            'no chain to show'
        )
    student, teacher = core.as_maps(student_feature, teacher_feature)
    latent, _ = core.encode(teacher)
    target = Target(latent, *core.normalize(latent))
    signals = [
        core.schedule.mix(t, x)[0]
        for t, x in zip(seen.timesteps, seen.samples)
    ]
    named = [('student', _in_front(core, student, seen.samples[0], signals))]
    for t, x, signal in zip(seen.timesteps, seen.samples, signals):
        name = f't = {int(t.flatten()[0])}'
        if any(name == other for other, _ in named):
            # A chain from a low timestep, or one with two looks a step.
            name += f', step {len(named)}'
        named.append((name, x / signal))
    named.append(('denoised', seen.end))
    if not isinstance(core, FeatureDiffusion):
        stages = [Stage(name, sample, sample) for name, sample in named]
        return RecordedPair(stages, target.clean, target.clean)
    stages = [
        Stage(name, core.in_units_of(sample, target), sample)
        for name, sample in named
    ]
    return RecordedPair(stages, target.latent, target.clean)


def _in_front(
    core: TeacherDiffusion,
    student: Tensor,
    first: Tensor,
    signals: list[Tensor],
) -> Tensor:
    """The student's latent, before any noise is mixed in."""
    if not isinstance(core, FeatureDiffusion):
        return core.project(student)
    if hasattr(core.noise_matching, 'start'):  # which adds no noise
        return first / signals[0]
    return core.project(student) / signals[0]


def _as_map(feature: Tensor) -> Tensor:
    """Vectors as maps of one position."""
    feature = feature.detach()
    return feature[:, :, None, None] if feature.dim() == 2 else feature
