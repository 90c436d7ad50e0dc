# Copyright (c) mmdiffkd contributors.
"""Feature distance by locality-sensitive hashing."""

import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmdiffkd.diffusion import IterationCount, NoiseSource
from mmdiffkd.diffusion.over_ranks import mean_over_ranks, world_size
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


@MODELS.register_module()
class LSHFeatureLoss(IterationCount, BaseModule):
    r"""Mean squared error plus the disagreement of binary hash codes.

    :math:`h(f) = W f + b` with a frozen Gaussian W; the code of a feature is
    the sign of :math:`h(f)`. The student's code is soft, its sigmoid, and is
    compared with the target's by the binary cross-entropy. Two features with
    a small angle between them agree in most signs, so this part looks at
    directions and lets lengths differ. b, minus the median of
    :math:`W f^{tea}` of each hash, cuts the targets in halves; the median is
    a running one, over all ranks.

    ``loss = loss_weight * (mse_weight * mse + hash_weight * bce)``

    Args:
        channels (int): Channels C of the features.
        num_hashes (int): Bits of the code. Defaults to 2048.
        std (float, optional): Standard deviation of W. Defaults to None:
            ``1 / sqrt(C)``, which gives h about unit variance for features
            of unit variance.
        loss_weight (float): Weight of the whole. Defaults to 1.0.
        mse_weight (float): Weight of the mean squared error. Defaults to 1.0.
        hash_weight (float): Weight of the hashes; 0 computes none. Defaults
            to 1.0.
        pool (bool): Whether maps are averaged over their positions first, so
            that both parts compare one vector an image. Defaults to False.
        max_positions (int): Vectors hashed in one iteration, of a map's
            N * H * W chosen at random, to bound the memory of
            ``max_positions * num_hashes`` numbers. Defaults to 1024.
        momentum (float): Share of one iteration in the running median; in
            the first ``1 / momentum`` iterations they share equally.
            Defaults to 0.01.
        seed (int): Of W, the same on all ranks. Defaults to 0.

    Note:
        Form, 2048 hashes and the median are those of LSHFM ("Distilling
        Knowledge by Mimicking Features"), whose weight of the whole is 5 to
        8 and whose ``std`` is that of the teacher's last layer, 0.06 for
        ResNet-34 where ours is 0.044. DSKD's own values were not at hand.

    Raises:
        UserError: If a number is impossible.
    """

    weight: Tensor
    median: Tensor
    deviation: Tensor

    def __init__(
        self,
        channels: int,
        num_hashes: int = 2048,
        std: float | None = None,
        loss_weight: float = 1.0,
        mse_weight: float = 1.0,
        hash_weight: float = 1.0,
        pool: bool = False,
        max_positions: int = 1024,
        momentum: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        std = 1 / math.sqrt(channels) if std is None else std
        if (
            min(num_hashes, max_positions) < 1
            or not 0 < momentum <= 1
            or (std <= 0)
        ):
            raise UserError(
                'LSHFeatureLoss needs num_hashes >= 1, max_positions >= 1, '
                f'0 < momentum <= 1 and std > 0, got num_hashes={num_hashes}, '
                f'max_positions={max_positions}, momentum={momentum}, '
                f'std={std}'
            )
        if min(mse_weight, hash_weight) < 0 or mse_weight + hash_weight == 0:
            raise UserError(
                'LSHFeatureLoss needs mse_weight and hash_weight of 0 or '
                f'more, and one above 0, got mse_weight={mse_weight}, '
                f'hash_weight={hash_weight}'
            )
        self.channels = channels
        self.loss_weight = loss_weight
        self.mse_weight = mse_weight
        self.hash_weight = hash_weight
        self.pool = pool
        self.max_positions = max_positions
        self.momentum = momentum
        self.noise_source = NoiseSource(seed)
        # Always on the CPU and by a generator of its own: the same numbers
        # on every rank and device.
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(num_hashes, channels, generator=generator)
        self.register_buffer('weight', std * weight)
        self.register_buffer('median', torch.zeros(num_hashes))
        self.register_buffer('deviation', torch.zeros(num_hashes))

    @property
    def bias(self) -> Tensor:
        """b of the hashes, shape (num_hashes,)."""
        return -self.median

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """Compare two features.

        Args:
            s_feature (Tensor): Student side, a map (N, C, H, W) or vectors
                (N, C).
            t_feature (Tensor): Teacher side, same shape; it is detached.

        Returns:
            Tensor: Scalar, float32 at least; zero where there is nothing.

        Raises:
            UserError: If the shapes differ or are none of these.
        """
        if (
            s_feature.shape != t_feature.shape
            or s_feature.dim() not in (2, 4)
            or s_feature.shape[1] != self.channels
        ):
            raise UserError(
                'LSHFeatureLoss: expected two features of equal shape '
                f'(N, {self.channels}) or (N, {self.channels}, H, W), got '
                f'{tuple(s_feature.shape)} and {tuple(t_feature.shape)}; '
                'channels= is the width of what is compared'
            )
        dtype = torch.promote_types(s_feature.dtype, torch.float32)
        # Half precision would round codes near the median at random.
        with torch.autocast(s_feature.device.type, enabled=False):
            student = self._vectors(s_feature.to(dtype))
            target = self._vectors(t_feature.detach().to(dtype))
            if not len(student):  # other ranks wait for this one's median
                if self.training and self.hash_weight:
                    self._update(self._project(target))
                return student.sum() * 0.0
            terms = []
            if self.mse_weight:
                terms.append(self.mse_weight * F.mse_loss(student, target))
            if self.hash_weight:
                hashed = self._hash_loss(student, target)
                terms.append(self.hash_weight * hashed)
            loss = sum(terms[1:], start=terms[0])
        return self.loss_weight * loss

    def codes(self, feature: Tensor) -> Tensor:
        """Binary codes of vectors.

        Args:
            feature (Tensor): Shape (M, C).

        Returns:
            Tensor: Booleans, True for +1, of shape (M, num_hashes).
        """
        return self._project(feature) > self.median

    def _hash_loss(self, student: Tensor, target: Tensor) -> Tensor:
        if len(target) > self.max_positions:
            index = torch.randint(
                len(target),
                (self.max_positions,),
                generator=self.noise_source.generator(target.device),
                device=target.device,
            )
            student, target = student[index], target[index]
        hashes = self._project(target)
        if self.training:
            self._update(hashes)
        code = (hashes > self.median).to(student.dtype)
        return F.binary_cross_entropy_with_logits(
            self._project(student) - self.median, code
        )

    def _project(self, vectors: Tensor) -> Tensor:
        return F.linear(vectors, self.weight.to(vectors.dtype))

    def _vectors(self, feature: Tensor) -> Tensor:
        """As rows (M, C)."""
        if feature.dim() == 4 and self.pool:
            return feature.mean(dim=(2, 3))
        return feature.movedim(1, -1).reshape(-1, self.channels)

    @torch.no_grad()
    def _update(self, hashes: Tensor) -> None:
        """Move the running median by one step of stochastic approximation.

        An average of the batches' medians would be the median of nothing
        where batches are small. Instead, each step goes where the larger
        half lies, ``mean(sign(h - median))``, which vanishes at the median
        alone. Its length is the Newton step of a Gaussian, whose density at
        the median is ``1 / (pi * mean|h - median|)``. Means over all ranks
        make it the step of the whole batch. Where no rank has any features,
        nothing moves, but of several ranks the iteration counts.
        """
        measured = len(hashes) > 0
        if not measured and world_size() == 1:
            return
        hashes = hashes.to(self.median.dtype)
        if self.count == 0:
            # By sorting: `median` is refused by deterministic algorithms.
            middle = self.median
            if measured:
                middle = hashes.sort(dim=0).values[(len(hashes) - 1) // 2]
            self.median.copy_(mean_over_ranks(middle, measured, self.median))
        difference = hashes - self.median
        sign, deviation = mean_over_ranks(
            torch.stack([difference.sign().mean(0), difference.abs().mean(0)]),
            measured,
            torch.stack([torch.zeros_like(self.deviation), self.deviation]),
        )
        self.tick()
        rate = max(1 / self.count, self.momentum)
        self.deviation.lerp_(deviation, rate)
        self.median.add_(sign * self.deviation, alpha=rate * math.pi / 2)

    def extra_repr(self) -> str:
        num_hashes, channels = self.weight.shape
        return f'channels={channels}, num_hashes={num_hashes}'
