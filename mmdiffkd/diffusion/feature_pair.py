# Copyright (c) mmdiffkd contributors.
"""A student and a teacher feature of one place, and what both go through."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import BATCH_NORM, Config, adopt_batch_norms, build
from .feature_layout import (
    RESIZE_MODES,
    ClassTokens,
    TokenShape,
    as_map,
    check_channels,
    check_tokens,
    match_size,
    token_layout,
)
from .memory_format import in_format, squared_error
from .pointwise import PointwiseConv2d


class FeaturePair(nn.Module):
    """The way of both features into one space, whatever is done there.

    The layout of the features, the autoencoder of the teacher's (Eq. 6), and
    the student's projection to the latent. Subclasses are
    :class:`TeacherDiffusion` and :class:`FeatureMimicking`.

    Args:
        student_channels (int): Channels C_s of the student feature.
        teacher_channels (int): Channels C_t of the teacher feature.
        latent_channels (int, optional): Channels L of the autoencoder's
            latent. Defaults to None: no autoencoder, L = C_t.
        autoencoder_loss_weight (float): lambda_2 of Eq. 9. Defaults to 1.0.
        autoencoder (dict, optional): Config of the autoencoder. Defaults to
            :class:`LinearAutoencoder`.
        norm_cfg (dict): Norm of all parts: BN, SyncBN, GN or IN. Defaults to
            ``dict(type='BN')``.
        resize (str, optional): Mode in which a student map of another height
            or width is resized to the teacher's; a vector then becomes a map.
            Defaults to None: an error.
        token_shape (tuple | str, optional): (H, W) of features that are
            tokens (N, L, C), or two such, the student's first; ``'square'``
            for tokens of square images of any size; or ``'sequence'`` for
            tokens of several maps, which a 1x1 denoiser such as
            :class:`MLPDenoiser` takes one by one. Defaults to None.
        num_class_tokens (int | tuple[int, int]): Leading tokens to drop, or
            those of the student and of the teacher. Defaults to 0.
        channels_last (bool): Whether maps are laid out in memory channels
            last in here, which PyTorch's convolutions and norms of a CPU
            compute faster. Results differ by rounding. Defaults to False.

    Raises:
        ValueError: If ``resize`` is no mode of interpolation, a number is
            out of range, or there is an autoencoder without a width.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        latent_channels: int | None = None,
        *,
        autoencoder_loss_weight: float = 1.0,
        autoencoder: Config | None = None,
        norm_cfg: Config = BATCH_NORM,
        resize: str | None = None,
        token_shape: TokenShape = None,
        num_class_tokens: ClassTokens = 0,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if resize not in (None, *RESIZE_MODES):
            raise ValueError(
                f'resize must be None or one of '
                f'{list(RESIZE_MODES)}, got {resize!r}'
            )
        check_tokens(token_shape, num_class_tokens)
        check_not_negative(autoencoder_loss_weight=autoencoder_loss_weight)
        if latent_channels is not None and latent_channels < 1:
            raise ValueError(
                f'latent_channels must be at least 1, got {latent_channels}; '
                'leave it out to have no autoencoder'
            )
        if autoencoder is not None and latent_channels is None:
            raise ValueError(
                'autoencoder is given and latent_channels is not: without a '
                'width to compress to there is no autoencoder'
            )
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.width = latent_channels or teacher_channels
        self.autoencoder_loss_weight = autoencoder_loss_weight
        self.norm_cfg = norm_cfg
        self.resize = resize
        self.token_shape = token_shape
        self.num_class_tokens = num_class_tokens
        self.channels_last = channels_last
        self.autoencoder = (
            None
            if latent_channels is None
            else build(
                autoencoder,
                'LinearAutoencoder',
                channels=teacher_channels,
                latent_channels=self.width,
                norm_cfg=norm_cfg,
            )
        )
        self.student_projection = PointwiseConv2d(student_channels, self.width)

    def train(self, mode: bool = True) -> 'FeaturePair':
        """Set the mode, as each training does once its norms are settled."""
        adopt_batch_norms(self)
        return super().train(mode)

    def as_maps(
        self, student: Tensor, teacher: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both features as float32 maps of one size, the teacher detached.

        Noise and schedule arithmetic is done in float32 under AMP.

        Raises:
            ValueError: If channels or sizes do not fit; the message names
                the shapes and the option to set.
        """
        student = self.as_map(student, 'student')
        teacher = self.as_map(teacher, 'teacher')
        check_channels(student, self.student_channels, 'student')
        check_channels(teacher, self.teacher_channels, 'teacher')
        student = match_size(student, teacher, self.resize)
        return self._enter(student), self._enter(teacher.detach())

    def teacher_map(self, teacher: Tensor) -> Tensor:
        """The teacher's feature alone, as :meth:`as_maps` gives it.

        Raises:
            ValueError: If its channels do not fit.
        """
        teacher = self.as_map(teacher, 'teacher')
        check_channels(teacher, self.teacher_channels, 'teacher')
        return self._enter(teacher.detach())

    def as_map(self, feature: Tensor, side: str) -> Tensor:
        """A map, a vector or tokens as a map (N, C, H, W)."""
        layout = token_layout(side, self.token_shape, self.num_class_tokens)
        return as_map(feature, side, *layout)

    def _enter(self, x: Tensor) -> Tensor:
        return self.laid_out(at_least_float32(x))

    def laid_out(self, x: Tensor) -> Tensor:
        """A map in the memory format of this module."""
        return in_format(x, torch.channels_last) if self.channels_last else x

    def squared_error(
        self, x: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The mean squared error of a map, a scalar; 0 of no samples.

        Args:
            x (Tensor): Shape (N, C, H, W).
            target (Tensor): Same shape.
            weights (Tensor, optional): Of the samples, shape (N,). Defaults
                to None: all alike.
        """
        if not x.numel():  # the mean of nothing is NaN
            return x.sum() * 0
        if weights is not None:
            errors = F.mse_loss(x, target, reduction='none')
            return (errors.flatten(1).mean(1) * weights).mean()
        return (squared_error if self.channels_last else F.mse_loss)(x, target)

    def given_back(self, feature: Tensor, x: Tensor) -> Tensor:
        """A map (N, L, H, W) for a distance, which may take views of it.

        Args:
            feature (Tensor): What has come in.
            x (Tensor): What goes out.

        Returns:
            Tensor: Shape (N, L, H, W), or (N, L) where the feature is a
            vector and has not been resized to a larger map.
        """
        if self.channels_last:
            x = in_format(x, torch.contiguous_format)
        as_vector = feature.dim() == 2 and x.shape[2:] == (1, 1)
        return x.flatten(1) if as_vector else x

    def encode(self, teacher: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The latent ``z_t``, detached, and the autoencoder's loss if any.

        Args:
            teacher (Tensor): Shape (N, C_t, H, W).

        Returns:
            tuple[Tensor, dict]: Shape (N, L, H, W), and ``loss_ae``.
        """
        if self.autoencoder is None:
            return teacher, {}
        latent, reconstruction = self.autoencoder(teacher)
        error = self.squared_error(reconstruction, teacher)
        loss = self.autoencoder_loss_weight * error
        return latent.detach().to(teacher.dtype), dict(loss_ae=loss)

    def project(self, student: Tensor) -> Tensor:
        """The student's latent ``z_s``, shape (N, L, H, W)."""
        latent: Tensor = self.student_projection(student)
        return latent.to(student.dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """A tensor in float32, or as it is if it is of higher precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_not_negative(**numbers: float) -> None:
    """Raise ValueError naming the first number below 0, or NaN."""
    for name, value in numbers.items():
        if not value >= 0:
            raise ValueError(f'{name} must not be negative, got {value}')
