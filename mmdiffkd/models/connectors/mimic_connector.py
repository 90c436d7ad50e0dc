# Copyright (c) mmdiffkd contributors.
"""DiffKD without diffusion, as a connector of MMRazor."""

from typing import Any

from torch import Tensor

from mmdiffkd.diffusion import FeatureMimicking, PairedOutput
from mmdiffkd.diffusion.builder import build_diffusion
from mmdiffkd.registry import MODELS

from .paired_connector import PairedConnector


@MODELS.register_module()
class MimicConnector(PairedConnector):
    """Project the student feature into the space of the teacher's.

    All of :class:`DiffKDConnector` but the diffusion: the control that tells
    what the diffusion adds. Behind the same losses and keys it takes the
    connector's place; keys of the diffusion model have to go.

    Args:
        student_channels (int): Channels of the student feature. The
            config may leave out both: ``FrozenTeacherDistill`` reads them
            from the models.
        teacher_channels (int): Channels of the teacher feature.
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
        **mimicking: Further arguments of
            :class:`~mmdiffkd.diffusion.FeatureMimicking`.

    Raises:
        UserError: If one of them is unknown or impossible.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        init_cfg: dict | None = None,
        **mimicking: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.mimicking = build_diffusion(
            type(self).__name__,
            student_channels,
            teacher_channels,
            core=FeatureMimicking,
            **mimicking,
        )

    @property
    def needs_loss(self) -> bool:
        """Always."""
        return True

    def forward_train(
        self, s_feature: Tensor, t_feature: Tensor
    ) -> PairedOutput:
        """See :meth:`FeatureMimicking.forward`."""
        return self.mimicking(s_feature, t_feature)
