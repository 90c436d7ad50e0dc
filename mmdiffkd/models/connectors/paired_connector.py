# Copyright (c) mmdiffkd contributors.
"""Connectors that see both sides."""

from abc import abstractmethod

from mmrazor.models.architectures.connectors.base_connector import (
    BaseConnector,
)
from torch import Tensor, nn

from mmdiffkd.diffusion import PairedOutput


class PairedConnector(BaseConnector):
    """Base of connectors that transform a student and a teacher feature
    together.

    A stock MMRazor connector sees one feature and is run anew for every loss
    that names it. A paired connector is run exactly once an iteration, may
    have losses of its own, and any number of losses may use its output; see
    ``connector_forward_mappings`` of
    :class:`~mmdiffkd.models.DiffKDDistiller`.

    Args:
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
    """

    #: Side of the output that is the denoised student, for pictures of it.
    denoised = 'student'

    @property
    def needs_loss(self) -> bool:
        """Whether a loss has to read the output.

        One with losses of its own that teach the student can do without.
        """
        return False

    def named(self, name: str) -> None:
        """Learn one's own name.

        The distiller calls it once, when all connectors are built.

        Args:
            name (str): In the distiller, in logs and in checkpoints.
        """

    def prepare_from_teacher(self, teacher: nn.Module) -> None:
        """Look at the teacher, once, before training.

        The distiller calls it when it attaches to the teacher. A connector
        must not register modules of the teacher as its own.

        Args:
            teacher (nn.Module): The model, possibly without its weights yet.
        """

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> PairedOutput:
        """Transform both features.

        Args:
            s_feature (Tensor): Student feature.
            t_feature (Tensor): Teacher feature.

        Returns:
            PairedOutput: Both sides, further losses and statistics.
        """
        return self.forward_train(s_feature, t_feature)

    @abstractmethod
    def forward_train(
        self, s_feature: Tensor, t_feature: Tensor
    ) -> PairedOutput:
        """What :meth:`forward` does, to be implemented by subclasses."""
