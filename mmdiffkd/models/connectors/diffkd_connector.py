# Copyright (c) mmdiffkd contributors.
"""DiffKD as a connector of MMRazor."""

from typing import Any

from torch import Tensor

from mmdiffkd.diffusion import PairedOutput
from mmdiffkd.diffusion.builder import build_diffusion
from mmdiffkd.registry import MODELS

from .diffusion_connector import DiffusionConnector


@MODELS.register_module()
class DiffKDConnector(DiffusionConnector):
    """Denoise the student feature with a diffusion model of the teacher's.

    Args:
        student_channels (int): Channels of the student feature. The
            config may leave out both: ``FrozenTeacherDistill`` reads them
            from the models.
        teacher_channels (int): Channels of the teacher feature.
        recipe (str): ``'tuned'`` or ``'released'``, the paper's published
            code. Defaults to ``'tuned'``.
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
        core (str): Registered class that composes the parts. Defaults to
            :class:`~mmdiffkd.diffusion.FeatureDiffusion`.
        diffusion_ckpt (str, optional): File with the teacher's diffusion
            model, see :class:`DiffusionConnector`. Defaults to None.
        **diffusion: Its further arguments: autoencoder width, sampler, loss
            weights and so on.

    Raises:
        UserError: If one of them is unknown or impossible.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        recipe: str = 'tuned',
        init_cfg: dict | None = None,
        core: str = 'FeatureDiffusion',
        diffusion_ckpt: str | None = None,
        **diffusion: Any,
    ) -> None:
        super().__init__(init_cfg, diffusion_ckpt)
        built: Any = build_diffusion(
            type(self).__name__,
            student_channels,
            teacher_channels,
            core=core,
            recipe=recipe,
            **diffusion,
        )
        self.diffusion = built

    def forward_train(
        self, s_feature: Tensor, t_feature: Tensor
    ) -> PairedOutput:
        """See :meth:`FeatureDiffusion.forward`."""
        return self.diffusion(s_feature, t_feature)
