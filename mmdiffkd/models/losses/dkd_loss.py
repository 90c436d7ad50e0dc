# Copyright (c) mmdiffkd contributors.
"""Decoupled knowledge distillation."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .instances import as_instances, standardize


@MODELS.register_module()
class DKDLoss(BaseModule):
    """Decoupled knowledge distillation (arXiv 2203.08679, Eq. 7).

    ``tau**2 * (alpha * TCKD + beta * NCKD)``, averaged over the batch. TCKD
    is the divergence of the two-way choice between the labelled class and
    all others, NCKD that of the choice among the others.

    Both are computed on logits, by log-softmax alone: the two-way choice has
    the logits ``z_label`` and ``logsumexp(z_others)``. Probabilities, as
    MMRazor's loss takes them, round to zero for a confident prediction, and
    their logarithm is infinite. MMRazor's ``reduction='mean'``, which its
    config uses, is a sum; there is no such option here.

    Args:
        tau (float): Temperature. Defaults to 1.0.
        alpha (float): Weight of TCKD. Defaults to 1.0.
        beta (float): Weight of NCKD. Defaults to 1.0.
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        standardize (bool): As in :class:`KLDivergence`. Defaults to False.

    Raises:
        UserError: If ``tau`` is not positive.
    """

    def __init__(
        self,
        tau: float = 1.0,
        alpha: float = 1.0,
        beta: float = 1.0,
        loss_weight: float = 1.0,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        if tau <= 0:
            raise UserError(f'DKDLoss: tau must be positive, got {tau}')
        self.tau = tau
        self.alpha = alpha
        self.beta = beta
        self.loss_weight = loss_weight
        self.standardize = standardize

    def forward(
        self, preds_S: Tensor, preds_T: Tensor, gt_labels: Tensor
    ) -> Tensor:
        """Compare two predictions.

        Args:
            preds_S (Tensor): Student's logits, shape (N, C).
            preds_T (Tensor): Teacher's logits, shape (N, C); it is detached.
            gt_labels (Tensor): Class indices, shape (N,) or (N, 1), or the
                shares of the classes in a mixed image, shape (N, C), of which
                the largest counts as the label; one-hot booleans are shares,
                too.

        Returns:
            Tensor: Scalar; zero where there are no instances.

        Raises:
            UserError: If the shapes do not fit.
        """
        if preds_S.dim() != 2 or preds_S.shape[1] < 2:
            raise UserError(
                'DKDLoss takes logits of shape (N, C) of at least '
                f'two classes, got {tuple(preds_S.shape)}'
            )
        preds_S, preds_T = as_instances('DKDLoss', preds_S, preds_T)
        labels = _labels(gt_labels, *preds_S.shape)
        if not len(preds_S):  # the mean of nothing is NaN
            return preds_S.sum() * 0.0
        if self.standardize:
            preds_S, preds_T = standardize(preds_S), standardize(preds_T)
        target = _split(preds_T / self.tau, labels)
        student = _split(preds_S / self.tau, labels)
        tckd, nckd = (_divergence(s, t) for s, t in zip(student, target))
        return (
            self.loss_weight
            * self.tau**2
            * (self.alpha * tckd + self.beta * nckd)
        )


def _labels(gt_labels: Tensor, batch: int, classes: int) -> Tensor:
    """Class indices of shape (N, 1)."""
    labels = gt_labels
    if labels.dim() == 2 and labels.shape[1] == classes:
        # `argmax` takes no booleans.
        one_hot = labels.dtype == torch.bool
        labels = (labels.byte() if one_hot else labels).argmax(dim=1)
    counts = not (labels.is_floating_point() or labels.dtype == torch.bool)
    if labels.numel() != batch or not counts:
        raise UserError(
            f'DKDLoss: gt_labels have shape {tuple(gt_labels.shape)} and '
            f'dtype {gt_labels.dtype}; expected {batch} class indices, or '
            f'shares of shape ({batch}, {classes})'
        )
    return labels.reshape(-1, 1)


def _split(logits: Tensor, labels: Tensor) -> tuple:
    """Logits of the two-way choice (N, 2) and of the others (N, C - 1)."""
    others = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = others + (others >= labels)  # skips each row's label
    others = logits.gather(1, others)
    two_way = torch.cat(
        [
            logits.gather(1, labels),
            others.logsumexp(dim=1, keepdim=True),
        ],
        dim=1,
    )
    return two_way, others


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(
        student.log_softmax(dim=1),
        teacher.log_softmax(dim=1),
        reduction='batchmean',
        log_target=True,
    )
