# Copyright (c) mmdiffkd contributors.
"""DiffKD as a single loss, for existing MMRazor configs."""
from typing import Any, List, Optional

from mmengine.model import BaseModule
from torch import Tensor

from mmdiffkd.registry import MODELS
from ..diffusion_builder import build_diffusion


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

    def __init__(self,
                 student_channels: int,
                 teacher_channels: int,
                 kd_loss: Optional[dict] = None,
                 loss_weight: float = 1.0,
                 recipe: str = 'tuned',
                 init_cfg: Optional[dict] = None,
                 **diffusion: Any) -> None:
        super().__init__(init_cfg)
        self.loss_weight = loss_weight
        self.diffusion = build_diffusion(
            type(self).__name__,
            student_channels,
            teacher_channels,
            recipe=recipe,
            **diffusion)
        kd_loss = kd_loss or dict(
            type='L2Loss', normalize=False, div_element=True)
        self.kd_loss = MODELS.build({'_scope_': 'mmrazor', **kd_loss})

    def forward(self, preds_S: Tensor, preds_T: Tensor) -> List[Tensor]:
        """Compute the losses of one feature pair.

        Args:
            preds_S (Tensor): Student feature, shape (N, C_s, H, W).
            preds_T (Tensor): Teacher feature, shape (N, C_t, H, W).

        Returns:
            list[Tensor]: Scalars: the distance, the diffusion loss, and the
            autoencoder's if there is one.
        """
        out = self.diffusion(preds_S, preds_T)
        distance = self.kd_loss(out.student, out.teacher)
        return [self.loss_weight * distance, *out.losses.values()]
