# Copyright (c) mmdiffkd contributors.
"""The autoencoder in front of the diffusion model."""

from torch import Tensor, nn

from mmdiffkd.registry import MODELS

from .blocks import BATCH_NORM, Config, conv_norm
from .pointwise import PointwiseConv2d


@MODELS.register_module()
class LinearAutoencoder(nn.Module):
    """Linear encoder and decoder of the teacher feature (Eq. 6).

    Args:
        channels (int): Channels C of the teacher feature.
        latent_channels (int): Channels L of the latent.
        norm_cfg (dict, optional): Norm behind the encoder, see
            :func:`build_norm`; None for none. Defaults to batch norm.

    Note:
        The paper describes two convolutions; its code has the batch norm,
        which gives the latent unit variance per channel.
    """

    def __init__(
        self,
        channels: int,
        latent_channels: int,
        norm_cfg: Config = BATCH_NORM,
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *conv_norm(channels, latent_channels, 1, norm_cfg)
        )
        self.decoder = PointwiseConv2d(latent_channels, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode and decode.

        Args:
            x (Tensor): Teacher feature, shape (N, C, H, W).

        Returns:
            tuple[Tensor, Tensor]: Latent (N, L, H, W) and reconstruction
            (N, C, H, W).
        """
        latent = self.encoder(x)
        return latent, self.decoder(latent)
