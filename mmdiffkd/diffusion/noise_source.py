# Copyright (c) mmdiffkd contributors.
"""Random numbers of one feature pair."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


class NoiseDraw(NamedTuple):
    """The random numbers of one iteration.

    Attributes:
        student (Tensor): Noise that noise matching mixes into the student
            latent, shape (N, C, H, W).
        teacher (Tensor): Noise that the denoiser is trained to predict,
            shape (N, C, H, W).
        timesteps (Tensor): Integer timesteps of that training, shape (N,).
    """

    student: Tensor
    teacher: Tensor
    timesteps: Tensor


class NoiseSource:
    """A random generator of its own, different on every rank.

    MMEngine seeds all ranks alike, so the global generator would give every
    rank the same noise and the same timesteps. A generator of its own also
    keeps the student's dropout and data order what they are without
    distillation.

    Args:
        seed (int, optional): Seed, combined with the rank. Defaults to None:
            the seed of PyTorch's global generator when the first noise is
            drawn, and a number taken from that generator now, so that every
            source has a stream of its own.

    Raises:
        ValueError: If the seed is negative.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and seed < 0:
            raise ValueError(f'seed must not be negative, got {seed}')
        self.seed = seed
        self._stream = (
            None if seed is not None else int(torch.randint(2**31, ()))
        )
        self._generator: torch.Generator | None = None
        self._state: Tensor | None = None

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator on a device, made and seeded at the first call."""
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device)
            if self._state is not None:
                self._generator.set_state(self._state)
                self._state = None
            else:
                self._generator.manual_seed(self._seed_of_rank())
        return self._generator

    def _seed_of_rank(self) -> int:
        distributed = dist.is_available() and dist.is_initialized()
        rank = dist.get_rank() if distributed else 0
        entropy = [torch.initial_seed(), rank, self._stream or 0]
        if self.seed is not None:
            entropy = [self.seed, rank]
        # SeedSequence spreads neighbouring seeds over all bits.
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
        return int(state[0])

    def draw(
        self,
        student: Tensor,
        teacher: Tensor,
        num_train_timesteps: int,
        generator: torch.Generator | None = None,
    ) -> NoiseDraw:
        """Draw student noise, timesteps and teacher noise, in this order.

        Args:
            student (Tensor): Student latent, shape (N, C, H, W); gives shape,
                dtype and device.
            teacher (Tensor): Teacher latent, likewise.
            num_train_timesteps (int): T; timesteps are uniform in [0, T).
            generator (torch.Generator, optional): Used instead of this
                source's own. Defaults to None.

        Returns:
            NoiseDraw: The numbers.
        """
        device = student.device
        generator = generator or self.generator(device)
        # In the memory format of the feature, channels last or not.
        student_noise = torch.empty_like(student).normal_(generator=generator)
        timesteps = torch.randint(
            num_train_timesteps,
            (teacher.shape[0],),
            generator=generator,
            device=device,
        )
        teacher_noise = torch.empty_like(teacher).normal_(generator=generator)
        return NoiseDraw(student_noise, teacher_noise, timesteps)

    # Generators can neither be copied nor pickled on every PyTorch we
    # support; their state can.
    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._generator is not None:
            state['_state'] = self._generator.get_state()
        state['_generator'] = None
        return state

    def state(self) -> dict[str, Any]:
        """All that decides the numbers to come, for a checkpoint."""
        state = self.__getstate__()
        return dict(
            seed=self.seed, stream=self._stream, generator=state['_state']
        )

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on as the source that this state was taken from.

        Args:
            state (dict): What :meth:`state` returned, on the same kind of
                device.
        """
        self.seed, self._stream = state['seed'], state['stream']
        generator = state['generator']
        self._state = None if generator is None else generator.cpu()
        self._generator = None


def noise_sources(module: nn.Module) -> Iterator[tuple[str, NoiseSource]]:
    """Each source of noise in a module, behind the name it has there.

    Args:
        module (nn.Module): Its ``parts_beside()``, if it has that method, are
            searched as well: by name, modules that are used and are no child.
    """
    beside: dict[str, nn.Module] = getattr(module, 'parts_beside', dict)()
    for name, part in chain(
        module.named_modules(),
        *(part.named_modules(prefix=name) for name, part in beside.items()),
    ):
        for key, value in vars(part).items():
            if isinstance(value, NoiseSource):
                yield f'{name}.{key}', value
