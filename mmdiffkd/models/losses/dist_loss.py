# Copyright (c) mmdiffkd contributors.
"""DIST for classes, pixels and anchors."""

import torch
from mmrazor.models.losses import DISTLoss as RazorDISTLoss
from mmrazor.models.losses.dist_loss import pearson_correlation
from torch import Tensor

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .instances import as_instances, check_softmax


@MODELS.register_module()
class DISTLoss(RazorDISTLoss):
    r"""One minus the correlation of predictions, within and across instances.

    With :math:`Y = \mathrm{softmax}(z / \tau)` of B instances and C classes,
    and Pearson's correlation :math:`\rho`:

    .. math::
        L_{inter} = 1 - \frac{1}{B} \sum_i
        \rho(Y^{stu}_{i,:}, Y^{tea}_{i,:}), \qquad
        L_{intra} = 1 - \frac{1}{C} \sum_j
        \rho(Y^{stu}_{:,j}, Y^{tea}_{:,j})

    The correlation is MMRazor's. Its loss is this one for logits (N, C) of
    single precision; it correlates a map (N, C, H, W) over the N images of
    one pixel, where the paper takes every pixel for an instance.

    Args:
        inter_loss_weight (float): Weight of the first. Defaults to 1.0.
        intra_loss_weight (float): Weight of the second. Defaults to 1.0.
        tau (float): Temperature. Defaults to 1.0.
        activation (str): ``'softmax'``, or ``'sigmoid'`` for heads of
            independent classes such as RetinaNet's. Defaults to
            ``'softmax'``.
        num_classes (int, optional): K of a map of A * K channels, whose A
            anchors are instances. Defaults to None: all channels are classes.
        tau_square (bool): Whether both terms are multiplied by ``tau**2``.
            Defaults to True.
        loss_weight (float): Weight of the loss. Defaults to 1.0.

    Raises:
        UserError: If an option is impossible.

    Note:
        The authors' classification code, and MMRazor, multiply by ``tau**2``;
        the paper's formula does not. At tau = 4 it is a factor of 16.

        The correlation of a single pair of numbers is undefined: a batch of
        one instance has an intra-class term of zero, and a single class an
        inter-class term of zero. A constant row correlates with nothing,
        :math:`\rho = 0`; its gradient, which is that of a division by zero and
        1e7 in MMRazor's loss, is zero.
    """

    def __init__(
        self,
        inter_loss_weight: float = 1.0,
        intra_loss_weight: float = 1.0,
        tau: float = 1.0,
        activation: str = 'softmax',
        num_classes: int | None = None,
        tau_square: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(
            inter_loss_weight, intra_loss_weight, tau, loss_weight
        )
        if tau <= 0:
            raise UserError(f'DISTLoss: tau must be positive, got {tau}')
        if activation not in ('softmax', 'sigmoid'):
            raise UserError(
                "DISTLoss: activation must be 'softmax' or "
                f"'sigmoid', got {activation!r}"
            )
        if num_classes is not None and num_classes < 1:
            raise UserError(
                f'DISTLoss: num_classes must be positive, got {num_classes}'
            )
        self.activation = activation
        self.num_classes = num_classes
        self.tau_square = tau_square

    def forward(self, logits_S: Tensor, logits_T: Tensor) -> Tensor:
        """Compare two predictions.

        Args:
            logits_S (Tensor): Student's, shape (N, C) or (N, C, H, W).
            logits_T (Tensor): Teacher's, same shape; it is detached.

        Returns:
            Tensor: Scalar.

        Raises:
            UserError: If the shapes do not fit, or there is one class under
                a softmax.
        """
        logits_S, logits_T = as_instances(
            'DISTLoss', logits_S, logits_T, self.num_classes
        )
        if self.activation == 'softmax':
            check_softmax('DISTLoss', logits_S, "set activation='sigmoid'")
        y_s, y_t = self._activate(logits_S), self._activate(logits_T)
        instances, classes = y_s.shape
        loss = y_s.sum() * 0.0  # a gradient, if of zero, in every case
        if classes > 1 and instances > 0:
            loss = loss + self.inter_loss_weight * _relation(y_s, y_t)
        if instances > 1:
            loss = loss + self.intra_loss_weight * _relation(y_s.T, y_t.T)
        factor = self.tau**2 if self.tau_square else 1.0
        return self.loss_weight * factor * loss

    def _activate(self, logits: Tensor) -> Tensor:
        logits = logits / self.tau
        if self.activation == 'sigmoid':
            return logits.sigmoid()
        return logits.softmax(dim=1)


def _relation(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the mean correlation of the rows of two matrices."""
    rho = pearson_correlation(student, teacher)
    varies = _varies(student) & _varies(teacher)
    return 1 - torch.where(varies, rho, torch.zeros_like(rho)).mean()


@torch.no_grad()
def _varies(rows: Tensor) -> Tensor:
    """Whether a row differs from its mean by more than rounding."""
    deviation = (rows - rows.mean(dim=1, keepdim=True)).norm(dim=1)
    return deviation > 1e-6 * rows.norm(dim=1)
