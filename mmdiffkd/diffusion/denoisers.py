# Copyright (c) mmdiffkd contributors.
"""Networks that tell noise and feature of a noisy feature apart."""

from typing import Any

from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, Bottleneck, Config, conv_norm
from .lean_layers import can_be_lean, lean_forward, worthwhile


class Denoiser(nn.Module):
    """Base of the denoisers: a learned time embedding, then ``layers``.

    Args:
        channels (int): Channels C of the feature.
        num_train_timesteps (int): T, rows of the embedding.

    Note:
        The paper's code embeds 1280 timesteps, of which 280 never occur. A
        state dict with more rows than T is accepted; the surplus is dropped.
    """

    #: Whether it looks at neighbouring positions (maps) or not (vectors).
    spatial = True
    #: Whether the backward pass computes norms and activations again, see
    #: :mod:`~mmdiffkd.diffusion.lean_layers`; the bits are the same.
    lean = True

    def __init__(self, channels: int, num_train_timesteps: int) -> None:
        super().__init__()
        self.channels = channels
        self.time_embedding = nn.Embedding(num_train_timesteps, channels)
        self.layers: nn.Sequential

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """Predict the noise (Phi in Eq. 4), or what ``prediction`` says.

        Args:
            x (Tensor): Noisy feature, shape (N, C, H, W).
            timesteps (Tensor): Integers, shape (N,), or (1,) for all.

        Returns:
            Tensor: The prediction, shape (N, C, H, W).
        """
        embedding = self.time_embedding(timesteps)
        embedded = x + embedding[:, :, None, None]
        if self.lean and worthwhile(embedded) and can_be_lean(self.layers):
            return lean_forward(self.layers, embedded)
        predicted: Tensor = self.layers(embedded)
        return predicted

    def zero_init(self) -> None:
        """Start by predicting nothing, 0 for any input.

        It costs a ``loss_diff`` of 1.0 where samples have unit variance.
        """
        last = self.layers[-1]
        if getattr(last, 'weight', None) is None:
            raise ValueError(
                'zero_init needs a norm that learns a factor; '
                'leave affine=False out of norm_cfg, or set '
                'zero_init=False'
            )
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        key = prefix + 'time_embedding.weight'
        rows = self.time_embedding.num_embeddings
        if key in state_dict and state_dict[key].shape[0] > rows:
            state_dict[key] = state_dict[key][:rows]
        super()._load_from_state_dict(state_dict, prefix, *args)


@MODELS.register_module()
class BottleneckDenoiser(Denoiser):
    """Denoiser for maps: two bottlenecks and a 1x1 convolution (Fig. 3).

    Args:
        channels (int): Channels C of the feature.
        num_train_timesteps (int): T, rows of the time embedding. Defaults to
            1000.
        norm_cfg (dict): See :func:`build_norm`. Defaults to batch norm.

    Note:
        The norm behind the last convolution is in the paper's code and not
        in its figure.
    """

    def __init__(
        self,
        channels: int,
        num_train_timesteps: int = 1000,
        norm_cfg: Config = BATCH_NORM,
    ) -> None:
        super().__init__(channels, num_train_timesteps)
        self.layers = nn.Sequential(
            Bottleneck(channels, 4, norm_cfg),
            Bottleneck(channels, 4, norm_cfg),
            *conv_norm(channels, channels, 1, norm_cfg),
        )


@MODELS.register_module()
class MLPDenoiser(Denoiser):
    """Denoiser for vectors: two perceptrons of one hidden layer (App. B.2).

    The linear layers are 1x1 convolutions, so that it also denoises each
    position of a dense prediction by itself.

    Args:
        channels (int): Channels C of the vector.
        num_train_timesteps (int): T, rows of the time embedding. Defaults to
            1000.
        expansion (int): The hidden width is ``expansion * channels``.
            Defaults to 4.
        norm_cfg (dict): See :func:`build_norm`. Defaults to batch norm.
    """

    spatial = False

    def __init__(
        self,
        channels: int,
        num_train_timesteps: int = 1000,
        expansion: int = 4,
        norm_cfg: Config = BATCH_NORM,
    ) -> None:
        super().__init__(channels, num_train_timesteps)
        hidden = channels * expansion
        self.layers = nn.Sequential(
            *conv_norm(channels, hidden, 1, norm_cfg, relu=True),
            *conv_norm(hidden, channels, 1, norm_cfg),
            *conv_norm(channels, hidden, 1, norm_cfg, relu=True),
            *conv_norm(hidden, channels, 1, None),
        )

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """As :meth:`Denoiser.forward`; x may also have the shape (N, C)."""
        if x.dim() == 2:
            return super().forward(x[..., None, None], timesteps).flatten(1)
        return super().forward(x, timesteps)
