# Copyright (c) mmdiffkd contributors.
"""Train the diffusion models of a distillation on its teacher alone."""

from typing import Any

import torch
from mmengine.model import BaseModel
from mmrazor.registry import MODELS as RAZOR_MODELS
from torch import Tensor, nn

from mmdiffkd.diffusion import TeacherDiffusion
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

from .frozen_teacher_distill import FrozenTeacherDistill
from .teacher_builder import RANDOM_TEACHER


@MODELS.register_module()
class DiffusionPretraining(BaseModel):
    """The teacher's forward pass, and the losses of its diffusion models.

    The student is built, because widths are read from it, and never run.
    There is no backward pass through the teacher either. Denoisers,
    autoencoders and scales are all that is trained and saved.

    Args:
        distillation (dict): Config of a :class:`FrozenTeacherDistill`.

    Raises:
        UserError: If it is none, its teacher has random weights, or none of
            its connectors has a diffusion model of the teacher's feature.
    """

    def __init__(self, distillation: dict) -> None:
        algorithm = RAZOR_MODELS.build(distillation)
        if not isinstance(algorithm, FrozenTeacherDistill) or (
            algorithm.teacher_trainable
        ):
            raise UserError(
                'a diffusion model is trained on the teacher of a '
                'distillation: model.type must be mmdiffkd.'
                'FrozenTeacherDistill, with teacher_trainable=False'
            )
        if not algorithm._teacher_ready:
            raise UserError(RANDOM_TEACHER)
        super().__init__(data_preprocessor=algorithm.data_preprocessor)
        models = algorithm.distiller.diffusion_models()
        if not models:
            raise UserError(
                'no connector has a diffusion model to train: '
                'model.distiller needs an mmdiffkd.DiffKDConnector or '
                'mmdiffkd.DSKDConnector'
            )
        for name, model in models.items():
            if getattr(model, 'diffusion_target', 'teacher') != 'teacher':
                raise UserError(
                    f"connector '{name}' has diffusion_target="
                    f'{model.diffusion_target!r}: its diffusion model learns '
                    'the student, and there is none yet'
                )
        # Past nn.Module.__setattr__: student and teacher are not trained.
        self.__dict__['_algorithm'] = algorithm
        self.diffusion = nn.ModuleDict(
            {
                name: nn.ModuleDict(model.diffusion_parts())
                for name, model in models.items()
            }
        )

    def parts_beside(self) -> dict[str, nn.Module]:
        """Parts with a state of their own that are no child, by name."""
        return {'distiller': self._algorithm.distiller}

    @property
    def diffusion_models(self) -> dict[str, TeacherDiffusion]:
        """Those that are trained, by connector."""
        models: dict[str, TeacherDiffusion] = (
            self._algorithm.distiller.diffusion_models()
        )
        return models

    def forward(
        self,
        inputs: Tensor,
        data_samples: list | None = None,
        mode: str = 'loss',
    ) -> dict[str, Tensor]:
        """Losses and statistics of one batch, as ``CONNECTOR.NAME``.

        Args:
            inputs (Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list, optional): Their annotations, which only a
                teacher with deliveries needs.
            mode (str): ``'loss'``; there is nothing to predict.
        """
        if mode != 'loss':
            raise NotImplementedError(f'there is no mode {mode!r}')
        algorithm = self._algorithm
        algorithm.distiller.set_deliveries_override(False)
        algorithm._run_teacher(inputs, data_samples)
        losses: dict[str, Tensor] = (
            algorithm.distiller.compute_teacher_losses()
        )
        return losses

    def train(self, mode: bool = True) -> 'DiffusionPretraining':
        """Set the mode of the diffusion models; the teacher stays in eval."""
        super().train(mode)
        self._algorithm.teacher.eval()
        return self

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> nn.Module:
        """Take the teacher along to another device or dtype."""
        super()._apply(fn, *args, **kwargs)
        # Its schedule and sampler have buffers; its student stays behind.
        algorithm = self._algorithm
        parts = algorithm.teacher, algorithm.distiller, algorithm.teacher_input
        with torch.no_grad():
            for part in parts:
                if part is not None:
                    part._apply(fn, *args, **kwargs)
        return self
