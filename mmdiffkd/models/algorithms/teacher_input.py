# Copyright (c) mmdiffkd contributors.
"""Give the teacher the normalisation it was trained with."""

from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from mmdiffkd.utils import UserError


class TeacherInput(nn.Module):
    """Turn the student's normalised batch into the teacher's.

    Both see the same pixels; ``x_t = (x_s * std_s + mean_s - mean_t) /
    std_t``, after reversing the channels where one reads BGR and the other
    RGB. The padding gets the teacher's padding value. All of it is one
    multiply-add, and nothing at all where the preprocessors agree.

    Args:
        student (nn.Module): Data preprocessor of the student.
        teacher (nn.Module): Data preprocessor of the teacher.

    Raises:
        UserError: If a preprocessor is of a kind that cannot be compared.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.pad_value = _pad_value(teacher)
        mean_s, std_s, rgb_s = normalisation(student, 'student')
        mean_t, std_t, rgb_t = normalisation(teacher, 'teacher')
        self.flip = rgb_s != rgb_t
        if self.flip:
            mean_s, std_s = mean_s.flip(0), std_s.flip(0)
        scale = std_s / std_t
        shift = (mean_s - mean_t) / std_t
        theirs = _raw_pad_value(student)
        # One for each channel is of a class of the user's own.
        plain = isinstance(theirs, (int, float))
        same_padding = not plain or self.pad_value == float(theirs)
        self.identity = (
            not self.flip
            and same_padding
            and torch.allclose(scale, torch.ones_like(scale))
            and torch.allclose(shift, torch.zeros_like(shift), atol=1e-6)
        )
        # Constants of the config: they are no part of a checkpoint.
        for name, value in (('scale', scale), ('shift', shift)):
            self.register_buffer(
                name, value.view(1, -1, 1, 1), persistent=False
            )

    def forward(
        self, inputs: Tensor, data_samples: list[Any] | None
    ) -> Tensor:
        """Re-normalise a batch.

        Args:
            inputs (Tensor): Student's batch, shape (N, C, H, W).
            data_samples (list, optional): Their ``img_shape`` tells image
                from padding.

        Returns:
            Tensor: Teacher's batch, same shape; the very same tensor where
            the preprocessors agree.
        """
        if self.identity:
            return inputs
        outputs = inputs.flip(1) if self.flip else inputs
        outputs = torch.addcmul(
            self.shift.to(inputs.dtype), outputs, self.scale.to(inputs.dtype)
        )
        for output, sample in zip(outputs, data_samples or []):
            shape = getattr(sample, 'metainfo', {}).get('img_shape')
            if shape is not None:
                output[:, shape[0] :] = self.pad_value
                output[:, :, shape[1] :] = self.pad_value
        return outputs


def _pad_value(preprocessor: nn.Module) -> float:
    """What stands in the padding of a normalised batch."""
    return float(_raw_pad_value(preprocessor))


def _raw_pad_value(preprocessor: nn.Module) -> Any:
    # MMSegmentation has a name of its own for it.
    own = getattr(preprocessor, 'pad_val', 0)
    return getattr(preprocessor, 'pad_value', own)


def normalisation(
    preprocessor: nn.Module, side: str
) -> tuple[Tensor, Tensor, bool]:
    """Mean and std by channel in the network's order, and whether RGB.

    Raises:
        UserError: If the preprocessor says neither.
    """
    mean = getattr(preprocessor, 'mean', None)
    std = getattr(preprocessor, 'std', None)
    # MMEngine's and MMDetection's, MMSegmentation's, MMPretrain's.
    rgb = any(
        getattr(preprocessor, name, False)
        for name in ('_channel_conversion', 'channel_conversion', 'to_rgb')
    )
    plain = isinstance(preprocessor, ImgDataPreprocessor) or not any(
        True for _ in preprocessor.children()
    )
    if mean is None and std is None and plain:
        return torch.zeros(1), torch.ones(1), rgb
    if not isinstance(mean, Tensor) or not isinstance(std, Tensor):
        raise UserError(
            f'the {side} data_preprocessor {type(preprocessor).__name__} has '
            'no mean and std to compare; set match_teacher_input=False if '
            'teacher and student take the same input'
        )
    return mean.detach().float().flatten(), std.detach().float().flatten(), rgb
