# Copyright (c) mmdiffkd contributors.
"""Start the chain at the noise level that the student's feature has."""

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, Config
from .noise_schedule import NoiseSchedule
from .over_ranks import mean_over_ranks


@MODELS.register_module()
class StudentNoiseLevel(nn.Module):
    r"""Take the student's feature as a diffused one, of the timestep it is.

    Noise matching (Eq. 8) adds noise until the student looks like a sample
    of the chain's first timestep. This goes the other way. A student latent
    of unit length that has the correlation :math:`\rho` with the teacher's
    :math:`z^{tea}` is

    .. math:: z = \rho\, z^{tea} + \sqrt{1 - \rho^2}\, n

    with :math:`n` of unit length and uncorrelated with :math:`z^{tea}`, which
    is Eq. 3 at the timestep where :math:`\sqrt{a_t} = \rho`: no noise is
    added, and the chain starts there. It is measured in training, as a
    running mean over all samples and ranks; a student without any
    correlation starts at ``max_timestep``.

    It has no parameters. Since a chain from a low timestep changes little,
    ``direct_loss_weight`` of :class:`FeatureDiffusion` helps the student to
    its first correlation.

    Args:
        channels (int): As the three that follow, what every noise matching
            is given; not needed here.
        spatial (bool): Likewise. Defaults to True.
        initial_gamma (float, optional): Likewise. Defaults to None.
        norm_cfg (dict): Likewise. Defaults to batch norm.
        max_timestep (int): Where the chain starts at the latest. Defaults to
            400, the sampler's default.
        momentum (float): Share of the newest batch in the running mean.
            Defaults to 0.02.

    Raises:
        ValueError: If a number is out of range.
    """

    correlation: Tensor

    def __init__(
        self,
        channels: int,
        spatial: bool = True,
        initial_gamma: float | None = None,
        norm_cfg: Config = BATCH_NORM,
        max_timestep: int = 400,
        momentum: float = 0.02,
    ) -> None:
        super().__init__()
        if max_timestep < 0 or not 0 < momentum <= 1:
            raise ValueError(
                'StudentNoiseLevel needs max_timestep >= 0 and 0 < momentum '
                f'<= 1, got max_timestep={max_timestep}, momentum={momentum}'
            )
        self.max_timestep, self.momentum = max_timestep, momentum
        self.register_buffer('correlation', torch.zeros(()))

    def forward(
        self, z: Tensor, noise: Tensor, clean: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Bring the student latent to unit length, and measure it.

        Args:
            z (Tensor): Student latent, shape (N, C, H, W).
            noise (Tensor): Not used.
            clean (Tensor): The teacher's latent, same shape.

        Returns:
            tuple[Tensor, Tensor]: ``z`` of unit root mean square in each
            sample, and the running ``rho`` as (1,), which stands in the log
            where gamma stands.
        """
        length = z.square().mean(dim=(1, 2, 3), keepdim=True)
        unit = z / length.clamp(min=1e-12).sqrt()
        if self.training:
            self._measure(unit.detach(), clean)
        return unit, self.correlation.to(z.dtype).view(1)

    def start(self, schedule: NoiseSchedule) -> Tensor:
        """First timestep of the chain, an integer tensor of shape (1,)."""
        # A schedule of one's own may have them on the CPU alone.
        levels = getattr(schedule, 'levels', schedule.alphas_cumprod)
        levels = levels.to(self.correlation)
        above = (levels > self.correlation.square()).sum()
        last = min(self.max_timestep, len(levels) - 1)
        return above.clamp(max=last).view(1)

    @torch.no_grad()
    def _measure(self, unit: Tensor, clean: Tensor) -> None:
        size = clean.square().mean().clamp(min=1e-12).sqrt()
        found = ((unit * clean).mean() / size).clamp(0, 1)
        found = mean_over_ranks(found, unit.numel() > 0, self.correlation)
        self.correlation.lerp_(found.to(self.correlation), self.momentum)
