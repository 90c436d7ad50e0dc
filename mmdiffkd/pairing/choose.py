# Copyright (c) mmdiffkd contributors.
"""Choose what a method compares of two models, and see that it fits."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmrazor.registry import MODELS

from mmdiffkd.models.connectors.teacher_head import TeacherHead
from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.models.widths.completion import look_up
from mmdiffkd.models.widths.records import BothModels
from mmdiffkd.utils import UserError, isolated_rng

from .drafts import METHODS, DoesNotApply, Draft, drafts
from .model import Model

HEAD = dict(_scope_='mmrazor', type='mmdiffkd.DiffKDDistiller')


class Choice(NamedTuple):
    """What is compared.

    Attributes:
        distiller (dict): Config of the distiller, for a config file.
        whole (Mapping): The same with all that the models say.
    """

    distiller: dict[str, Any]
    whole: Mapping[str, Any]


def choose(method: str, student: Model, teacher: Model) -> Choice:
    """Choose what a method compares of two models.

    Args:
        method (str): One of :data:`~.drafts.METHODS`.
        student (Model): The student.
        teacher (Model): The teacher.

    Returns:
        Choice: The first draft of the method that fits both models.

    Raises:
        UserError: If none does. The message names methods that do.
    """
    reasons = []
    try:
        for draft in drafts(method, student, teacher):
            try:
                return _settle(draft, student, teacher)
            except UserError as error:
                reasons.append(str(error))
    except DoesNotApply as error:
        reasons.append(str(error))
    others = list(_applicable(student, teacher, method))
    raise UserError(
        f'--method {method} does not apply to student '
        f'{type(student.net).__name__} and teacher '
        f'{type(teacher.net).__name__}: {reasons[0]}'
        + (f'. Methods that apply: {", ".join(others)}' if others else '')
    )


def _applicable(student: Model, teacher: Model, but: str) -> Iterator[str]:
    for method in METHODS:
        if method == but:
            continue
        try:
            found = drafts(method, student, teacher)
            if any(_fits(draft, student, teacher) for draft in found):
                yield method
        except DoesNotApply:
            continue


def _fits(draft: Draft, student: Model, teacher: Model) -> bool:
    try:
        _settle(draft, student, teacher)
    except UserError:
        return False
    return True


def _settle(draft: Draft, student: Model, teacher: Model) -> Choice:
    """Look up the widths and levels of a draft, and build its distiller.

    Raises:
        UserError: If the features do not go together.
    """
    pairs, problem = draft.pairs, None
    models = BothModels(student.net, teacher.net, (student.seen, teacher.seen))
    # To shrink the student's map is decided here, and written.
    for further in ({}, dict(resize='area')):
        distiller = HEAD | draft.options | dict(pairs=_with(pairs, further))
        try:
            whole, found = look_up(distiller, models)
        except UserError as error:
            problem = problem or error
            continue
        values = found.get('connectors', {}).values()
        if any(v.get('token_shape') == 'sequence' for v in values):
            # Tokens of several levels have no neighbours to convolve.
            distiller['pairs'] = pairs = _with_mlp(distiller['pairs'])
            whole, found = look_up(distiller, models)
            values = found.get('connectors', {}).values()
        if draft.may_drop and values and all(map(_plain, values)):
            distiller['pairs'] = _without_connectors(distiller['pairs'])
            whole, found = look_up(distiller, models)
        try_out(whole, student, teacher)
        return Choice(distiller, whole)
    assert problem is not None
    raise problem


def _with(pairs: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    pairs = copy.deepcopy(pairs)
    for pair in pairs.values():
        if 'connector' in pair and 'denoiser' not in pair['connector']:
            pair['connector'].update(further)
    return pairs


def _with_mlp(pairs: dict[str, Any]) -> dict[str, Any]:
    pairs = copy.deepcopy(pairs)
    for pair in pairs.values():
        kind = pair.get('connector', {}).get('type', '')
        if kind.endswith(('DiffKDConnector', 'DSKDConnector')):
            pair['connector']['denoiser'] = dict(type='MLPDenoiser')
    return pairs


def _without_connectors(pairs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v for k, v in pair.items() if k != 'connector'}
        for name, pair in pairs.items()
    }


def _plain(values: Mapping[str, Any]) -> bool:
    """Whether what was found says that both features have one shape."""
    return (
        set(values) == {'student_channels', 'teacher_channels'}
        and values['student_channels'] == values['teacher_channels']
    )


def try_out(
    distiller: Mapping[str, Any], student: Model, teacher: Model
) -> None:
    """Build the distiller and show it both models, as training does.

    Raises:
        UserError: If a part of it misses something in a model.
    """
    with isolated_rng():
        # Written out, it has nothing to say in the log.
        built = MODELS.build(copy.deepcopy(expand_distiller(distiller)))
        built.prepare_from_student(student.net)
        built.prepare_from_teacher(teacher.net)
    for connector in built.connectors.values():
        head = getattr(connector, 'teacher_head', None)
        if isinstance(head, TeacherHead):
            width = connector.diffusion.teacher_channels
            try:
                head.predict(_zeros(teacher, width))
            except (RuntimeError, TypeError) as error:
                raise UserError(
                    f'the classifier {head.names} of the teacher cannot score '
                    f'its feature: {error}'
                ) from error


def _zeros(model: Model, width: int) -> Any:
    first = next(model.net.parameters())
    return first.new_zeros(1, width, 4, 4)
