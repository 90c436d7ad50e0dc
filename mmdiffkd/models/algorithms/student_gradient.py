# Copyright (c) mmdiffkd contributors.
"""Can what is recorded of the student be trained at all?"""

from typing import Any

from mmdiffkd.utils import UserError
from mmdiffkd.utils.distillation import tensors_of

from ..distillers.student_rois import StudentRoIs


def check_student_gradient(distiller: Any) -> None:
    """Refuse features through which no gradient reaches the student.

    Args:
        distiller (ConfigurableDistiller): Its student recorders hold an
            iteration.

    Raises:
        UserError: Naming the recorder.
    """
    for name, recorder in distiller.student_recorders.recorders.items():
        if name == StudentRoIs.ROIS:
            continue  # boxes; no loss sees them
        tensors = tensors_of(recorder.data_buffer)
        if tensors and not any(t.requires_grad for t in tensors):
            raise UserError(
                f"student recorder '{name}' (source '{recorder.source}') "
                'records features without gradient, so distillation would '
                'change nothing. The module is frozen, or recomputed by '
                'with_cp=True: unfreeze it, set with_cp=False, or record '
                'a module around it'
            )
