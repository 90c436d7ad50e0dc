# Copyright (c) mmdiffkd contributors.
"""Connectors whose diffusion model may come from a file."""

from abc import abstractmethod

from torch import Tensor

from mmdiffkd.diffusion import PairedOutput, TeacherDiffusion
from mmdiffkd.diffusion.pretrained import load_diffusion
from mmdiffkd.utils import UserError

from .paired_connector import PairedConnector


class DiffusionConnector(PairedConnector):
    """Base of connectors with a diffusion model of the teacher's feature.

    Args:
        init_cfg (dict, optional): Initialisation config of MMEngine.
            Defaults to None.
        diffusion_ckpt (str, optional): File with denoiser, autoencoder and
            scale, of ``mmdiffkd pretrain-diffusion`` or of another
            distillation with this teacher. It is read when the model is
            built, and again when it is initialised; a checkpoint to resume
            from comes after and wins. Defaults to None.
    """

    diffusion: TeacherDiffusion

    def __init__(
        self, init_cfg: dict | None = None, diffusion_ckpt: str | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.diffusion_ckpt = diffusion_ckpt
        self._name: str | None = None

    @property
    def needs_loss(self) -> bool:
        """Unless there is a distance in front of the chain."""
        return not getattr(self.diffusion, 'direct_loss_weight', 0.0)

    def named(self, name: str) -> None:
        """Take the diffusion model of this name from the file, if any.

        Raises:
            UserError: If the file does not fit, or ``freeze_diffusion`` has
                nothing to freeze.
        """
        self._name = name
        if self.diffusion.freeze_diffusion and self.diffusion_ckpt is None:
            raise UserError(
                'freeze_diffusion=True needs diffusion_ckpt, or it would '
                'freeze random weights; mmdiffkd pretrain-diffusion CONFIG '
                'makes one'
            )
        self._load()

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, but not what the file holds."""
        super().init_weights()
        self._load()

    def _load(self) -> None:
        if self.diffusion_ckpt is not None and self._name is not None:
            load_diffusion(self.diffusion, self.diffusion_ckpt, self._name)

    @abstractmethod
    def forward_train(
        self, s_feature: Tensor, t_feature: Tensor
    ) -> PairedOutput:
        """What :meth:`forward` does, to be implemented by subclasses."""
