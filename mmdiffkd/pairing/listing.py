# Copyright (c) mmdiffkd contributors.
"""Show the modules of two models side by side."""

from mmdiffkd.models.widths.tables import side_by_side

from .model import Model

DEPTH = 3
"""Names of so many parts are listed, such as ``backbone.layer4.0``."""


def listing(student: Model, teacher: Model) -> str:
    """The modules of both models with the shapes of what they give.

    Args:
        student (Model): The student.
        teacher (Model): The teacher.

    Returns:
        str: A table, modules in the order in which their calls end.
    """
    names = [
        [n for n in model.called() if n and n.count('.') < DEPTH]
        for model in (student, teacher)
    ]
    return side_by_side(student.seen, teacher.seen, *names)
