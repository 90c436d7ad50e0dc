# Copyright (c) mmdiffkd contributors.
"""L1 and smooth L1 between two box heads."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.pyramid import base_for, level_numbers


@MODELS.register_module()
class BoxRegressionLoss(BaseModule):
    r"""Mean distance of the raw outputs of two box regression branches.

    Of an error x it takes :math:`x^2 / (2 \beta)` where
    :math:`\vert x \vert < \beta`, and :math:`\vert x \vert - \beta / 2`
    elsewhere; with ``beta=0`` this is the L1 loss. All anchors, points or
    RoIs count alike, whatever they contain.

    Args:
        beta (float): Error, in the unit of the outputs, above which the
            smooth L1 loss is linear. Defaults to 0.0: L1.
        loss_weight (float): Weight of the loss. Defaults to 1.0.

    Raises:
        UserError: If ``beta`` is negative.

    Note:
        A class-agnostic teacher, such as a cascade's, gives one box a RoI,
        (N, 4), where a student may give one a class, (N, 4 * K). The
        teacher's box stands for any class, so each of the student's is
        compared with it, as all K are where both have K.
    """

    def __init__(self, beta: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if beta < 0:
            raise UserError(
                f'BoxRegressionLoss: beta must not be negative, got {beta}'
            )
        self.beta = beta
        self.loss_weight = loss_weight
        self._levels: list[int] = []

    def prepare_from_student(self, model: nn.Module) -> None:
        """Look which levels the student has, for the advice of an error.

        Args:
            model (nn.Module): The student.
        """
        self._levels = level_numbers(model)

    def forward(self, preds_S: Tensor, preds_T: Tensor) -> Tensor:
        """Compare two predictions.

        Args:
            preds_S (Tensor): Student's, shape (N, C, H, W) of a map or
                (N, 4 * K) of RoIs.
            preds_T (Tensor): Teacher's, same shape, or (N, 4) of RoIs; it is
                detached.

        Returns:
            Tensor: Scalar; zero where there are no RoIs.

        Raises:
            UserError: If the shapes do not fit.
        """
        target = preds_T.detach()
        boxes = preds_S
        if (
            preds_S.dim() == 2
            and target.shape == (len(preds_S), 4)
            and preds_S.shape[1] % 4 == 0
        ):
            boxes = preds_S.unflatten(1, (-1, 4))  # (N, K, 4)
            target = target.unsqueeze(1).expand_as(boxes)
        if boxes.shape != target.shape:
            raise UserError(
                'BoxRegressionLoss: the student gives '
                f'{tuple(preds_S.shape)} and the teacher '
                f'{tuple(preds_T.shape)}. '
                f'{_advice(preds_S, preds_T, base_for(self._levels))}'
            )
        if not boxes.numel():  # the mean of nothing is NaN
            return boxes.sum() * 0.0
        return self.loss_weight * F.smooth_l1_loss(
            boxes, target, beta=self.beta
        )


def _advice(student: Tensor, teacher: Tensor, base: str) -> str:
    """What to do about two shapes."""
    if student.dim() == 2 and len(student) != len(teacher):
        return (
            'Both must see the same RoIs: set '
            'model.distiller.student_rois=True'
        )
    if student.shape[1:2] != teacher.shape[1:2]:
        return (
            'Both heads need the same anchors (or points) a position and '
            'the same classes: compare anchor_generator, num_classes and '
            'reg_class_agnostic. Or leave regression out: drop its pair '
            f'(pairs.reg=None), or take {base}'
        )
    return 'Both need the same input size and the same strides'
