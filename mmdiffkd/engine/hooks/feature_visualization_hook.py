# Copyright (c) mmdiffkd contributors.
"""Draw the features that are distilled."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdiffkd.registry import HOOKS
from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.distillation import unwrap


@HOOKS.register_module()
class FeatureVisualizationHook(Hook):
    """Draw teacher, student and denoised student side by side.

    A picture holds the first image of the batch, as the student sees it, and
    for each paired connector a row of three maps: where the teacher's
    feature is active, the student's as recorded, and the student's denoised,
    see :func:`~mmdiffkd.visualization.feature_maps.spatial_attention`. It
    goes to every backend of the visualizer, under the name ``features``.
    Vectors and logits have no positions and are left out.

    Rank 0 alone draws. Training is the same with and without the hook, bit
    by bit; an iteration without a picture costs nothing.

    Args:
        interval (int): In iterations. Defaults to 1000.
        connectors (Sequence[str], optional): Names of the paired connectors
            to draw. Defaults to None: all.

    Raises:
        UserError: If an argument is wrong; in training, if the model has no
            such connectors.
    """

    # Behind `StopDistillHook`, which decides about the iteration.
    priority = 'LOWEST'

    def __init__(
        self, interval: int = 1000, connectors: Sequence[str] | None = None
    ) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise UserError(
                'FeatureVisualizationHook: interval is a number '
                f'of iterations, got {interval!r}'
            )
        if not isinstance(connectors, (list, tuple, type(None))):
            raise UserError(
                'FeatureVisualizationHook: connectors is a list '
                f'of names, got {connectors!r}'
            )
        self.interval = interval
        self.connectors = connectors
        self._handles: list[Any] = []
        self._rows: dict[str, dict[str, np.ndarray]] = {}
        self._image: np.ndarray | None = None
        self._batch_size: int | None = None
        self._told: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Find the connectors."""
        # Here, since it takes Matplotlib, and only those who draw need it.
        from mmdiffkd.visualization import feature_maps

        self._maps, self._runner = feature_maps, runner
        model = unwrap(runner.model)
        paired = getattr(
            getattr(model, 'distiller', None),
            'connector_forward_mappings',
            None,
        )
        if not paired:
            raise UserError(
                'FeatureVisualizationHook draws the paired connectors of '
                f'mmdiffkd.DiffKDDistiller, and this {type(model).__name__} '
                'has none; remove the hook'
            )
        for name in self.connectors or ():
            if name not in paired:
                raise UserError(
                    f"FeatureVisualizationHook: there is no connector '{name}'"
                    f' in connector_forward_mappings{closest(name, paired)}'
                )
        self._names = list(self.connectors or paired)
        if self.interval > runner.max_iters:
            runner.logger.warning(
                'FeatureVisualizationHook draws nothing: the training ends '
                f'at iteration {runner.max_iters}, before '
                f'interval={self.interval}'
            )

    def before_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Look at the connectors in this iteration, if it is due."""
        if not (
            self.every_n_train_iters(runner, self.interval)
            and is_main_process()
        ):
            return
        model = unwrap(runner.model)
        if getattr(model, 'distillation_stopped', False):
            self._tell('distillation has stopped; no features are drawn')
            return
        connectors = model.distiller.connectors
        self._handles = [
            model.data_preprocessor.register_forward_hook(self._see_batch),
            *(
                connectors[name].register_forward_hook(
                    partial(self._see_features, name), with_kwargs=True
                )
                for name in self._names
            ),
        ]

    def after_train_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Hand the picture to the visualizer."""
        if not self._handles:
            return
        for handle in self._handles:
            handle.remove()
        rows, image = self._rows, self._image
        self._handles, self._rows = [], {}
        self._image = self._batch_size = None
        if rows:
            picture = self._maps.draw_feature_maps(rows, image)
            runner.visualizer.add_image('features', picture, runner.iter + 1)

    def _see_batch(
        self, preprocessor: nn.Module, args: tuple, batch: Any
    ) -> None:
        """Keep the first image, and how many there are."""
        from mmdiffkd.models.algorithms.teacher_input import normalisation

        inputs = batch.get('inputs') if isinstance(batch, Mapping) else None
        # The first call of an iteration is that of the training step.
        if self._batch_size is None and isinstance(inputs, Tensor):
            self._batch_size = len(inputs)
            try:
                how = normalisation(preprocessor, 'student')
            except UserError:  # one that there is no way back from
                return
            self._image = self._maps.to_pixels(inputs[0], *how)

    @torch.no_grad()
    def _see_features(
        self,
        name: str,
        connector: nn.Module,
        args: tuple,
        kwargs: dict[str, Any],
        output: Any,
    ) -> None:
        """Keep the maps of the first image, and nothing else."""
        denoised = getattr(
            output, getattr(connector, 'denoised', 'student'), None
        )
        row = {}
        for column, feature in (
            ('teacher', kwargs.get('t_feature')),
            ('student', kwargs.get('s_feature')),
            ('student, denoised', denoised),
        ):
            maps = _as_maps(feature, column, connector)
            if maps is None or self._batch_size not in (None, len(maps)):
                shape = tuple(getattr(feature, 'shape', ()))
                self._tell(
                    f"connector '{name}' is not drawn: the {column} "
                    f'feature {shape} is no map of each image'
                )
                return
            attention = self._maps.spatial_attention(maps[0])
            row[column] = attention.cpu().numpy()
        self._rows[name] = row

    def _tell(self, message: str) -> None:
        """Log something once."""
        if message not in self._told:
            self._told.add(message)
            self._runner.logger.info(f'FeatureVisualizationHook: {message}')


def _as_maps(feature: Any, side: str, connector: nn.Module) -> Tensor | None:
    """Maps (N, C, H, W) of more than one position, or None."""
    diffusion = getattr(connector, 'diffusion', None)
    if (
        isinstance(feature, Tensor)
        and feature.dim() == 3
        and diffusion is not None
    ):
        feature = diffusion.as_map(feature, side)  # of tokens
    if (
        not isinstance(feature, Tensor)
        or feature.dim() != 4
        or (feature.shape[2:].numel() == 1)
    ):
        return None
    return feature
