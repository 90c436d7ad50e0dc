# Copyright (c) mmdiffkd contributors.
"""The classifier of a frozen teacher, seen as ``log p(y | feature)``."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdiffkd.utils import UserError, closest

ACTIVATIONS = ('softmax', 'sigmoid')


class TeacherHead:
    """Modules of the teacher that turn its feature into class scores.

    No ``nn.Module``, and so in no state dict, optimizer or DDP; copies share
    it. It computes in the dtype of its own weights, without autocast, and
    sends no gradient to them.

    Args:
        teacher (nn.Module): The model.
        head (str | Sequence[str]): Names of the modules of it to call one
            after another; of a ``ModuleList``, all elements are. ``'head.fc'``
            of a classifier, ``['bbox_head.cls_convs',
            'bbox_head.retina_cls']`` of a RetinaNet.
        channels (int): Channels C of the teacher feature.
        pool (bool): Whether the feature is averaged over its positions
            first. Defaults to False: scores for each position.
        activation (str): ``'softmax'`` over the classes, or ``'sigmoid'`` of
            each score by itself. Defaults to ``'softmax'``.

    Raises:
        UserError: If a name is not in the teacher, no layer is found that
            takes the feature, or that takes other channels.
    """

    def __init__(
        self,
        teacher: nn.Module,
        head: str | Sequence[str],
        channels: int,
        pool: bool = False,
        activation: str = 'softmax',
    ) -> None:
        self.pool = pool
        self.sigmoid = activation == 'sigmoid'
        self.names = [head] if isinstance(head, str) else list(head)
        self.modules: list[nn.Module] = []
        modules = dict(teacher.named_modules())
        for name in self.names:
            if not name or name not in modules:
                raise UserError(
                    f"guidance.head '{name}' is not a module of the teacher "
                    f'{type(teacher).__name__}{closest(name, modules)}'
                )
            module = modules[name]
            self.modules.extend(
                module if isinstance(module, nn.ModuleList) else [module]
            )
        self._vectors = isinstance(self._first_layer(channels), nn.Linear)

    def _first_layer(self, channels: int) -> nn.Module:
        for module in self.modules:
            for layer in module.modules():
                if next(layer.children(), None) is not None:
                    continue  # a block; its layers follow
                for key in ('in_channels', 'in_features', 'num_features'):
                    width = getattr(layer, key, None)
                    if isinstance(width, int):
                        if width != channels:
                            raise UserError(
                                f"guidance.head '{self.names[0]}' takes "
                                f'{width} channels, but teacher_channels='
                                f'{channels}; record the feature that this '
                                'head is applied to, or name the modules '
                                'that lie between as well, in a list'
                            )
                        return layer
        raise UserError(
            f'guidance.head {self.names} holds no convolution or linear layer '
            "that could classify a feature; name one such as 'head.fc', "
            "'decode_head.conv_seg' or ['bbox_head.cls_convs', "
            "'bbox_head.retina_cls']"
        )

    def logits(self, feature: Tensor) -> Tensor:
        """Class scores.

        Args:
            feature (Tensor): Shape (N, C, H, W).

        Returns:
            Tensor: Shape (N, K, H, W), or (N, K, 1, 1) if pooled, float32 at
            least.

        Raises:
            UserError: If the head returns another shape.
        """
        x = feature.mean(dim=(2, 3), keepdim=True) if self.pool else feature
        for module in self.modules:
            for parameter in module.parameters():
                x = x.to(parameter.dtype)
                break
        if self._vectors:
            x = x.flatten(1) if self.pool else x.movedim(1, -1)
        for module in self.modules:
            x = module(x)
        shape = getattr(x, 'shape', None)
        if self._vectors and shape is not None:
            x = x[..., None, None] if self.pool else x.movedim(-1, 1)
        if shape is None or x.dim() != 4 or len(x) != len(feature):
            raise UserError(
                f'guidance.head {self.names} turned a feature of shape '
                f'{tuple(feature.shape)} into {shape or type(x).__name__}, '
                'not into class scores; name the last layer itself, such as '
                "'head.fc', not the head around it"
            )
        return x.to(torch.promote_types(x.dtype, torch.float32))

    @torch.no_grad()
    def predict(self, feature: Tensor) -> Tensor:
        """The most probable outcome ``y`` of a teacher feature.

        Args:
            feature (Tensor): Shape (N, C, H, W).

        Returns:
            Tensor: With softmax the class of each position, integers of
            shape (N, H, W). With sigmoid, whether each class is there,
            zeros and ones of shape (N, K, H, W).
        """
        with torch.autocast(feature.device.type, enabled=False):
            logits = self.logits(feature)
        if self.sigmoid:
            return (logits > 0).to(logits.dtype)
        return logits.argmax(dim=1)

    def from_labels(self, labels: Tensor, feature: Tensor) -> Tensor:
        """Labels of the task as ``y``.

        Args:
            labels (Tensor): Classes (N,), or shares of classes (N, K) as
                Mixup makes them, of a pooled head; label maps (N, h, w) or
                (N, 1, h, w) of a dense one, brought to its size by nearest
                neighbour. Classes outside of [0, K) are ignored. With
                sigmoid, what a dense head's own loss is given: classes of
                the A anchors of each position, (N * H * W * A,), of which
                those outside of [0, K) are background; or, pooled, zeros and
                ones (N, K).
            feature (Tensor): Teacher feature, shape (N, C, H, W).

        Returns:
            Tensor: Integers (N, H, W), or shares (N, K, 1, 1); with sigmoid
            zeros and ones (N, A * K, H, W).

        Raises:
            UserError: If the labels are none of these.
        """
        if self.sigmoid:
            return self._from_anchors(labels, feature)
        if self.pool and labels.dim() == 2 and labels.is_floating_point():
            return labels[..., None, None]
        if self.pool and labels.dim() == 1:
            return labels[:, None, None]
        if not self.pool and labels.dim() in (3, 4):
            maps = labels[:, None] if labels.dim() == 3 else labels
            return F.interpolate(maps.float(), size=feature.shape[2:])[
                :, 0
            ].long()
        raise UserError(
            f"guidance.target='label': labels of shape "
            f'{tuple(labels.shape)} do not fit a head with pool={self.pool}; '
            'expected classes (N,) for pool=True, label maps (N, H, W) '
            'otherwise'
        )

    @torch.no_grad()
    def _from_anchors(self, labels: Tensor, feature: Tensor) -> Tensor:
        """Labels of a head with sigmoid, see :meth:`from_labels`."""
        if self.pool and labels.dim() == 2:
            return labels[..., None, None]
        n, _, height, width = feature.shape
        positions = n * height * width
        anchors = len(labels) // max(positions, 1)
        with torch.autocast(feature.device.type, enabled=False):
            channels = self.logits(feature).shape[1]
        if (
            self.pool
            or labels.dim() != 1
            or labels.is_floating_point()
            or (
                not anchors
                or len(labels) != anchors * positions
                or channels % anchors
            )
        ):
            raise UserError(
                f"guidance.target='label': labels of shape "
                f'{tuple(labels.shape)} are not one class for each anchor of '
                f'{n} x {height} x {width} positions with {channels} scores. '
                "A head with activation='sigmoid' takes what the student's "
                'bbox_head.loss_cls is given for this level, if both heads '
                "have the same anchors; else set guidance.target='teacher'"
            )
        classes = torch.arange(channels // anchors, device=labels.device)
        hot = labels.view(n, height, width, anchors, 1) == classes
        return hot.flatten(3).movedim(3, 1).to(feature.dtype)

    def log_prob(self, target: Tensor) -> Callable[[Tensor], Tensor]:
        """``log p(y | feature)`` as a function of the feature.

        Positions count as independent, and so do the classes of a sigmoid:
        their log-probabilities are added, so that guidance pulls at each
        position with the same strength, however many there are.

        Args:
            target (Tensor): What :meth:`predict` or :meth:`from_labels` gave.

        Returns:
            Callable: From features (N, C, H, W) to (N,).
        """

        def value(feature: Tensor) -> Tensor:
            logits = self.logits(feature)
            if self.sigmoid:
                likelihood = -F.binary_cross_entropy_with_logits(
                    logits, target.to(logits), reduction='none'
                )
            elif target.is_floating_point():
                likelihood = logits.log_softmax(1) * target
            else:
                known = (target >= 0) & (target < logits.shape[1])
                index = torch.where(known, target, 0)[:, None]
                likelihood = logits.log_softmax(1).gather(1, index)
                likelihood = likelihood * known[:, None]
            return likelihood.flatten(1).sum(1)

        return value

    def __deepcopy__(self, memo: Any) -> 'TeacherHead':
        return self
