# Copyright (c) mmdiffkd contributors.
"""The reverse process."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .guidance import ClassifierGuidance
from .noise_schedule import NoiseSchedule


@MODELS.register_module()
class DDIMSampler(nn.Module):
    r"""Deterministic DDIM (eta = 0) with one multiply-add a step (Eq. 5).

    With a noise prediction :math:`\epsilon`, Eq. 12 of the DDIM paper is
    affine in the sample:

    .. math::
        x' = A_t\, x + B_t\, \epsilon, \qquad
        A_t = \sqrt{a_{prev} / a_t}, \qquad
        B_t = \sqrt{1 - a_{prev}} - A_t \sqrt{1 - a_t}

    Both are computed once, in float64. No tensor is indexed by a timestep
    and the host never waits for the device.

    Args:
        schedule (NoiseSchedule): The forward process to invert.
        num_inference_steps (int): Evaluations of the denoiser. Defaults to 5.
        start_timestep (int, optional): First and noisiest timestep; the
            others are spaced evenly down to 0. Defaults to None, the rule of
            the paper's code: ``(n - 1) * (T // (2 * n))`` for n steps, hence
            400, 300, 200, 100, 0. The paper's text says 500.

    Attributes:
        timesteps (list[int]): Descending, one for each step.
        alphas (list[float]): ``a_t`` of each.
        coefficients (list[tuple[float, float]]): ``(A_t, B_t)`` of each.

    A chain may also be told where to start, by a tensor: see :meth:`forward`.

    Raises:
        ValueError: If there are no steps, or more than timesteps.
    """

    _timesteps: Tensor
    _alphas: Tensor

    def __init__(
        self,
        schedule: NoiseSchedule,
        num_inference_steps: int = 5,
        start_timestep: int | None = None,
    ) -> None:
        super().__init__()
        total = schedule.num_train_timesteps
        steps = num_inference_steps
        if start_timestep is None:
            start_timestep = (steps - 1) * (total // (2 * max(steps, 1)))
        if not 1 <= steps <= start_timestep + 1 <= total:
            raise ValueError(
                'DDIMSampler needs 1 <= num_inference_steps <= '
                f'start_timestep + 1 <= {total} (num_train_timesteps), got '
                f'num_inference_steps={steps}, '
                f'start_timestep={start_timestep}'
            )
        last = max(steps - 1, 1)
        self.timesteps: list[int] = (
            [start_timestep * (steps - 1 - i) // last for i in range(steps)]
            if steps > 1
            else [start_timestep]
        )
        alphas_cumprod = schedule.alphas_cumprod.tolist()
        self.alphas = [alphas_cumprod[t] for t in self.timesteps]
        self.coefficients = self._affine(self.alphas)
        self.register_buffer(
            '_timesteps', torch.tensor(self.timesteps), persistent=False
        )
        self.register_buffer(
            '_alphas', schedule.alphas_cumprod.float(), persistent=False
        )

    @staticmethod
    def _affine(current: list[float]) -> list[tuple[float, float]]:
        # Behind the last step lies the clean sample, a = 1.
        previous = [*current[1:], 1.0]
        coefficients = []
        for a_t, a_prev in zip(current, previous):
            scale = (a_prev / a_t) ** 0.5
            coefficients.append(
                (scale, (1 - a_prev) ** 0.5 - scale * (1 - a_t) ** 0.5)
            )
        return coefficients

    def forward(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        guidance: ClassifierGuidance | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Denoise a sample.

        Args:
            denoiser (Callable): ``denoiser(x, t)`` predicts the noise in x;
                ``t`` is an integer tensor of shape (1,) on x's device.
            x (Tensor): Noisy sample, shape (N, C, H, W).
            guidance (ClassifierGuidance, optional): Corrects each noise
                prediction. Defaults to None.
            start (Tensor, optional): First timestep, an integer tensor of
                shape (1,) on x's device, which is never read by the host;
                as many steps lead evenly down to 0. Without guidance.
                Defaults to None: ``start_timestep``.

        Returns:
            Tensor: Denoised sample, same shape.
        """
        if start is not None:
            return self._from(start, denoiser, x)
        for i, (scale, shift) in enumerate(self.coefficients):
            noise = denoiser(x, self._timesteps[i : i + 1])
            if guidance is not None:
                noise = guidance(x, noise, self.alphas[i])
            x = scale * x
            # In place: one tensor of the size of the map less.
            free = torch.promote_types(x.dtype, noise.dtype) == x.dtype
            x = (x.add_ if free else x.add)(noise, alpha=shift)
        return x

    def _from(
        self,
        start: Tensor,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
    ) -> Tensor:
        steps = len(self.timesteps)
        last = max(steps - 1, 1)
        times = [start * (steps - 1 - i) // last for i in range(steps)]
        times = times if steps > 1 else [start]
        alphas = [self._alphas[t].view(1, 1, 1, 1) for t in times]
        alphas.append(torch.ones_like(alphas[0]))
        for t, a_t, a_prev in zip(times, alphas, alphas[1:]):
            scale = (a_prev / a_t).sqrt()
            shift = (1 - a_prev).sqrt() - scale * (1 - a_t).sqrt()
            x = torch.addcmul(scale * x, shift, denoiser(x, t))
        return x

    def extra_repr(self) -> str:
        return f'timesteps={self.timesteps}'
