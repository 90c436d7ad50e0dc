# Copyright (c) mmdiffkd contributors.
"""DiffKD as a single loss, for existing MMRazor configs."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmdiffkd.diffusion.builder import build_diffusion
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


@MODELS.register_module()
class DiffKDLoss(BaseModule):
    """Adapter: the whole of DiffKD behind the interface of a loss.

    An MMRazor or MMYOLO distillation config adopts DiffKD by changing one
    entry of ``distill_losses``; distiller and algorithm stay stock. MMEngine
    sums a list of losses, so the log shows only their total. Use
    :class:`~mmdiffkd.models.DiffKDDistiller` to see each by itself.

    Args:
        student_channels (int): Channels of the student feature.
        teacher_channels (int): Channels of the teacher feature.
        kd_loss (dict, optional): Distance between denoised student and
            teacher feature, with two positional arguments. Defaults to the
            mean squared error.
        loss_weight (float): Weight of the distance, lambda_3 in Eq. 9.
            Defaults to 1.0.
        recipe (str): ``'tuned'`` or ``'released'``, the paper's published
            code. Defaults to ``'tuned'``.
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
        **diffusion: Further arguments of
            :class:`~mmdiffkd.diffusion.FeatureDiffusion`.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        kd_loss: dict | None = None,
        loss_weight: float = 1.0,
        recipe: str = 'tuned',
        init_cfg: dict | None = None,
        **diffusion: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.loss_weight = loss_weight
        self.diffusion = build_diffusion(
            type(self).__name__,
            student_channels,
            teacher_channels,
            recipe=recipe,
            **diffusion,
        )
        kd_loss = kd_loss or dict(
            type='L2Loss', normalize=False, div_element=True
        )
        self.kd_loss = MODELS.build({'_scope_': 'mmrazor', **kd_loss})

    def forward(
        self,
        preds_S: Tensor | None = None,
        preds_T: Tensor | None = None,
        s_feature: Tensor | None = None,
        t_feature: Tensor | None = None,
        logits_S: Tensor | None = None,
        logits_T: Tensor | None = None,
    ) -> list[Tensor]:
        """Compute the losses of one feature pair.

        Each pair of arguments is that of some loss of MMRazor, so that the
        mapping of the loss replaced can stay: ``preds_S`` of CWD, PKD and
        KL, ``s_feature`` of L2 and L1, ``logits_S`` of DIST.

        Args:
            preds_S (Tensor): Student feature, shape (N, C_s, H, W).
            preds_T (Tensor): Teacher feature, shape (N, C_t, H, W).
            s_feature (Tensor): Another name of ``preds_S``.
            t_feature (Tensor): Another name of ``preds_T``.
            logits_S (Tensor): Another name of ``preds_S``.
            logits_T (Tensor): Another name of ``preds_T``.

        Returns:
            list[Tensor]: Scalars: the distance, the diffusion loss, and the
            autoencoder's if there is one.

        Raises:
            UserError: If not exactly one feature of each side is given.
        """
        out = self.diffusion(
            *_pair(
                (preds_S, s_feature, logits_S), (preds_T, t_feature, logits_T)
            )
        )
        distance = self.kd_loss(out.student, out.teacher)
        return [self.loss_weight * distance, *out.losses.values()]


def _pair(*sides: tuple[Tensor | None, ...]) -> list[Tensor]:
    given = [[x for x in side if x is not None] for side in sides]
    if [len(side) for side in given] != [1, 1]:
        raise UserError(
            'DiffKDLoss compares one student feature (preds_S, s_feature or '
            'logits_S) with one teacher feature (preds_T, t_feature or '
            f'logits_T), got {len(given[0])} and {len(given[1])}; name one of '
            'each in loss_forward_mappings'
        )
    return [side[0] for side in given]
