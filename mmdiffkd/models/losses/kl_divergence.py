# Copyright (c) mmdiffkd contributors.
"""Kullback-Leibler divergence, averaged over instances."""

from mmrazor.models.losses import KLDivergence as RazorKLDivergence
from torch import Tensor

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .instances import as_instances, check_softmax, standardize


@MODELS.register_module()
class KLDivergence(RazorKLDivergence):
    r"""The divergence of class probabilities, as Hinton's KD has it.

    .. math::
        L = \tau^2\, \mathrm{KL}(\mathrm{softmax}(z^{tea} / \tau) \,\Vert\,
        \mathrm{softmax}(z^{stu} / \tau))

    The mean over all instances. For logits (N, C) it equals MMRazor's; for
    a map (N, C, H, W), MMRazor's sums over the pixels, so that its size
    depends on that of the map.

    Args:
        tau (float): Temperature. Defaults to 1.0.
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        standardize (bool): Whether each instance's logits, of both sides, are
            replaced by their z-scores ``(z - mean) / deviation`` over the
            classes before they are divided by ``tau``: the student then need
            not reach the size of the teacher's logits. Its paper (arXiv
            2403.01427) has tau = 2 and a weight of 9 on CIFAR-100. Defaults
            to False.

    Raises:
        UserError: If ``tau`` is not positive.
    """

    def __init__(
        self,
        tau: float = 1.0,
        loss_weight: float = 1.0,
        standardize: bool = False,
    ) -> None:
        super().__init__(
            tau=tau, reduction='batchmean', loss_weight=loss_weight
        )
        if tau <= 0:
            raise UserError(f'KLDivergence: tau must be positive, got {tau}')
        self.standardize = standardize

    def forward(self, preds_S: Tensor, preds_T: Tensor) -> Tensor:
        """Compare two predictions.

        Args:
            preds_S (Tensor): Student's logits, shape (N, C) or (N, C, H, W).
            preds_T (Tensor): Teacher's, same shape; it is detached.

        Returns:
            Tensor: Scalar; zero where there are no instances.

        Raises:
            UserError: If the shapes do not fit, or there is one class.
        """
        preds_S, preds_T = as_instances('KLDivergence', preds_S, preds_T)
        check_softmax(
            'KLDivergence',
            preds_S,
            "use mmdiffkd.DISTLoss(activation='sigmoid')",
        )
        if not len(preds_S):
            return preds_S.sum()
        if self.standardize:
            preds_S, preds_T = standardize(preds_S), standardize(preds_T)
        return super().forward(preds_S, preds_T)
