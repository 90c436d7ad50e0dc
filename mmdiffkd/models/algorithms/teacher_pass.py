# Copyright (c) mmdiffkd contributors.
"""The forward pass of a frozen teacher on a batch of the student."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmrazor.models.distillers import ConfigurableDistiller
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from mmdiffkd.utils import UserError, closest
from mmdiffkd.utils.compiling import compile_arguments

from .compiled_parts import compile_parts
from .early_exit import EarlyExit
from .teacher_input import TeacherInput

DTYPES = dict(bfloat16=torch.bfloat16, float16=torch.float16)
COMPILED = 'model.compile_teacher'


class TeacherPass:
    """Runs the teacher for its records, and for nothing else.

    Args:
        teacher (nn.Module): In eval mode, with its recorders attached.
        distiller (ConfigurableDistiller): Has the recorders.
        teacher_input (TeacherInput, optional): Re-normalises the batch.
            Defaults to None: teacher and student take the same.
        skip (bool): Whether parts that no record depends on are left out, see
            :class:`EarlyExit`. Defaults to True.
        dtype (str, optional): ``'bfloat16'`` or ``'float16'``, in which its
            convolutions and matrix products are computed (``torch.autocast``).
            Records are given back in the dtype of the batch. Defaults to
            None: as the student's.
        channels_last (bool): Whether its convolutions see the memory format
            ``torch.channels_last``. Records are given back in PyTorch's
            default format. Defaults to False.
        compiled (bool | dict): Whether its parts are compiled, see
            :func:`~.compiled_parts.compile_parts`; a dict has arguments of
            ``torch.compile``. Defaults to False.

    Raises:
        UserError: If an option has another value.
    """

    def __init__(
        self,
        teacher: nn.Module,
        distiller: ConfigurableDistiller,
        teacher_input: TeacherInput | None = None,
        *,
        skip: bool = True,
        dtype: str | None = None,
        channels_last: bool = False,
        compiled: bool | dict = False,
    ) -> None:
        check_manner(skip, dtype, channels_last, compiled)
        self.teacher = teacher
        self.distiller = distiller
        self.teacher_input = teacher_input
        self._options: dict[str, Any] = dict(
            skip=skip,
            dtype=dtype,
            channels_last=channels_last,
            compiled=compiled,
        )
        self._early_exit = EarlyExit(teacher, distiller, skip)
        self._dtype = None if dtype is None else DTYPES[dtype]
        self._channels_last = channels_last
        self._to_compile = compile_arguments(COMPILED, compiled)
        if channels_last:
            teacher.to(memory_format=torch.channels_last)  # type: ignore

    def of(self, distiller: ConfigurableDistiller) -> 'TeacherPass':
        """The same teacher for another distiller."""
        return TeacherPass(
            self.teacher, distiller, self.teacher_input, **self._options
        )

    def run(self, batch_inputs: Tensor, data_samples: list | None) -> None:
        """Fill the teacher's recorders.

        Args:
            batch_inputs (Tensor): The student's, shape (N, 3, H, W).
            data_samples (list, optional): Their annotations.
        """
        if not self._early_exit.necessary:
            return
        if self._to_compile is not None and self._early_exit.settled:
            compile_parts(
                self.teacher,
                self._early_exit.recorded(),
                self._early_exit.left_out(),
                self._to_compile,
            )
            self._to_compile = None
        dtype = batch_inputs.dtype
        # no_grad, not inference_mode: what the connectors compute from these
        # features has to be saved for their backward pass.
        with (
            torch.no_grad(),
            self.distiller.teacher_recorders,
            self.distiller.deliveries,
            self._precision(batch_inputs),
        ):
            if self.teacher_input is not None:
                batch_inputs = self.teacher_input(batch_inputs, data_samples)
            if self._channels_last:
                batch_inputs = batch_inputs.contiguous(
                    memory_format=torch.channels_last
                )
            self._early_exit.run(self.teacher, batch_inputs, data_samples)
        self._give_back(dtype)

    def run_on_student_rois(self, batch_inputs: Tensor) -> None:
        """Fill the recorders that wait for the student's RoIs, if any."""
        # A distiller of MMRazor's own knows nothing of it.
        run = getattr(self.distiller, 'run_on_student_rois', None)
        if run is not None:
            with torch.no_grad(), self._precision(batch_inputs):
                run(self.teacher)
            self._give_back(batch_inputs.dtype)

    def _precision(self, inputs: Tensor) -> AbstractContextManager:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(inputs.device.type, dtype=self._dtype)

    def _give_back(self, dtype: torch.dtype) -> None:
        """Records as a student alone would see them."""
        if self._dtype is None and not self._channels_last:
            return

        def converted(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if value.dtype == self._dtype:
                value = value.to(dtype)
            return value.contiguous() if self._channels_last else value

        for recorder in self.distiller.teacher_recorders.recorders.values():
            buffer = recorder.data_buffer
            buffer[:] = [tree_map(converted, record) for record in buffer]


def check_manner(
    skip: Any, dtype: Any, channels_last: Any, compiled: Any
) -> None:
    """Refuse values that mean nothing.

    Raises:
        UserError: The message names option, value and what there is.
    """
    for name, value in dict(
        skip_teacher_parts=skip, teacher_channels_last=channels_last
    ).items():
        if not isinstance(value, bool):
            raise UserError(
                f'model.{name} must be True or False, got {value!r}'
            )
    if dtype is not None and dtype not in DTYPES:
        raise UserError(
            f'model.teacher_dtype must be {" or ".join(map(repr, DTYPES))}, '
            f'or None for that of the student, got {dtype!r}'
            f'{closest(str(dtype), DTYPES)}'
        )
    compile_arguments(COMPILED, compiled)
