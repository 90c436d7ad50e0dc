# Copyright (c) mmdiffkd contributors.
"""Adaptive noise matching."""

import math

import torch
from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, Bottleneck, Config, conv_norm
from .memory_format import in_format

MIXES = ('linear', 'variance_preserving')


@MODELS.register_module()
class AdaptiveNoiseMatching(nn.Module):
    r"""Bring the student feature to the noise level of the sampler (Eq. 8).

    .. math:: x = \gamma\, z + (1 - \gamma)\, \epsilon

    with one learned :math:`\gamma` in (0, 1) for each sample; 1 adds no
    noise. It is learned from the distillation loss alone.

    Args:
        channels (int): Channels C of the student latent.
        spatial (bool): Whether to look at maps with a bottleneck (True) or
            at vectors with a perceptron (False). Defaults to True.
        initial_gamma (float, optional): gamma at the start of training, the
            same for all samples. Defaults to None: whatever the random
            weights give, about 0.5, as in the paper's code.
        norm_cfg (dict): See :func:`build_norm`. Defaults to batch norm.
        mix (str): ``'linear'`` as in Eq. 8 and in the paper's code, or
            ``'variance_preserving'``:
            :math:`x = \gamma z + \sqrt{1 - \gamma^2}\, \epsilon`, the mix
            of the forward process (Eq. 3) with :math:`\gamma = \sqrt{a_t}`.
            Defaults to ``'linear'``.

    Raises:
        ValueError: If ``mix`` is unknown or ``initial_gamma`` not in (0, 1).
    """

    def __init__(
        self,
        channels: int,
        spatial: bool = True,
        initial_gamma: float | None = None,
        norm_cfg: Config = BATCH_NORM,
        mix: str = 'linear',
    ) -> None:
        super().__init__()
        if mix not in MIXES:
            raise ValueError(f'mix must be one of {list(MIXES)}, got {mix!r}')
        self.mix = mix
        if spatial:
            self.features: nn.Module = Bottleneck(channels, 8, norm_cfg)
        else:
            self.features = nn.Sequential(
                *conv_norm(channels, 2 * channels, 1, norm_cfg, relu=True),
                *conv_norm(2 * channels, channels, 1, norm_cfg),
            )
        self.classifier = nn.Linear(channels, 2)
        if initial_gamma is not None:
            if not 0 < initial_gamma < 1:
                raise ValueError(
                    'initial_gamma must lie between 0 and 1, '
                    f'got {initial_gamma}'
                )
            nn.init.zeros_(self.classifier.weight)
            logit = math.log(initial_gamma / (1 - initial_gamma))
            self.classifier.bias.data = torch.tensor([logit / 2, -logit / 2])

    def forward(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Mix noise into the student latent.

        Args:
            z (Tensor): Student latent, shape (N, C, H, W).
            noise (Tensor): Gaussian noise, same shape.

        Returns:
            tuple[Tensor, Tensor]: Noisy latent (N, C, H, W), and gamma
            (N,), both in the dtype of ``z``.
        """
        pooled = in_format(self.features(z)).mean(dim=(2, 3))
        # In bfloat16, 0.999 would be 1 and learn nothing more.
        logits = self.classifier(pooled)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        gamma = logits.softmax(dim=1)[:, 0].to(z.dtype)
        if self.mix == 'variance_preserving':
            share = gamma[:, None, None, None]
            # At gamma = 1 the root has no gradient.
            rest = (1 - share.square()).clamp(min=1e-6).sqrt()
            return torch.addcmul(share * z, rest, noise), gamma
        # lerp(noise, z, gamma) = noise + gamma * (z - noise), one kernel.
        return torch.lerp(noise, z, gamma[:, None, None, None]), gamma
