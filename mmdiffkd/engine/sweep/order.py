# Copyright (c) mmdiffkd contributors.
"""In which order models are swept, and which teacher each gets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LARGER = 1.2
"""A teacher has at least so many times the parameters of its student."""


def stratified(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Let a sweep that is stopped early have seen some of everything.

    First comes the smallest model of each family (a folder of one library),
    then the second of each, and so on; the libraries take turns.

    Args:
        rows (Iterable[Mapping]): With ``library``, ``family``, ``config`` and
            ``parameters``.
    """
    families: dict[tuple, list] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r['parameters'], r['config'])):
        families[row['family'], row['library']].append(row)
    ranked = [
        (rank, *family, row)
        for family, members in families.items()
        for rank, row in enumerate(members)
    ]
    return [row for *_, row in sorted(ranked, key=lambda item: item[:3])]


def teacher_of(
    student: Mapping[str, Any], models: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Choose a teacher from the zoo, by size and kinship alone.

    It is of the same library, family and kind, and has at least
    :data:`LARGER` times the parameters. Models with the same classes come
    first, then those of the same type; of these, the smallest. A student
    without such a model is its own teacher.

    Args:
        student (Mapping): With ``kind``, ``parameters`` (millions),
            ``classes`` and ``detector``.
        models (Sequence[Mapping]): Likewise, all that the library can build.
    """
    larger = [
        model
        for model in models
        if all(
            model[key] == student[key] for key in ('library', 'family', 'kind')
        )
        and model['parameters'] >= LARGER * student['parameters']
    ]
    return min(
        larger,
        key=lambda model: (
            model['classes'] != student['classes'],
            model['detector'] != student['detector'],
            model['parameters'],
            model['config'],
        ),
        default=student,
    )
