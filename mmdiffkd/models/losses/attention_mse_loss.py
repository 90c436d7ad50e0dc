# Copyright (c) mmdiffkd contributors.
"""Mean squared error that looks where the teacher is active."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


@MODELS.register_module()
class AttentionMSELoss(BaseModule):
    r"""Mean squared error weighted by the teacher's spatial attention.

    The weight of a position is :math:`H W\, \mathrm{softmax}(a / \tau)` over
    all positions, with the ``temperature`` :math:`\tau`. Here :math:`a` is
    the mean over the channels of the absolute teacher feature, in units of
    that feature's root mean square, one number for the batch. The weights of
    an image average to one, so an even attention gives the plain mean squared
    error. Pictures of features show another attention, which takes the plain
    mean (``mmdiffkd.visualization.feature_maps.spatial_attention``).

    Args:
        temperature (float): Small values concentrate on few positions.
            Defaults to 0.5.
        loss_weight (float): Weight of the loss. Defaults to 1.0.

    Note:
        The paper's dagger variant for detection is "attention-weighted MSE
        inspired by FGD" without a formula. This is our reading. The division
        by the root mean square is ours: FPN maps differ in scale by a
        factor of two, and the softmax would differ with them.
    """

    def __init__(
        self, temperature: float = 0.5, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(
                f'temperature must be positive, got {temperature}'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """Compare two maps.

        Args:
            s_feature (Tensor): Student side, shape (N, C, H, W).
            t_feature (Tensor): Teacher side, same shape; it is detached.

        Returns:
            Tensor: Scalar, float32 at least; zero where there are no maps.

        Raises:
            UserError: If the shapes differ or are not of maps.
        """
        if s_feature.shape != t_feature.shape or s_feature.dim() != 4:
            raise UserError(
                'AttentionMSELoss: expected two maps (N, C, H, W) of equal '
                f'shape, got {tuple(s_feature.shape)} of the student and '
                f'{tuple(t_feature.shape)} of the teacher; a connector '
                'brings them together'
            )
        # Half precision would round the attention of thousands of positions
        # to three digits, and overflow in squares.
        dtype = torch.promote_types(s_feature.dtype, torch.float32)
        s_feature = s_feature.to(dtype)
        if not s_feature.numel():  # the mean of nothing is NaN
            return s_feature.sum() * 0.0
        target = t_feature.detach().to(dtype)
        scale = target.square().mean().sqrt().clamp(min=1e-6)
        activity = target.abs().mean(dim=1).flatten(1) / scale
        attention = (activity / self.temperature).softmax(dim=1)
        attention = attention * attention.shape[1]
        error = (s_feature - target).square().mean(dim=1).flatten(1)
        return self.loss_weight * torch.mean(attention * error)
