# Copyright (c) mmdiffkd contributors.
"""What a method compares of a pair, before widths and levels are looked up."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from mmdiffkd.diffusion import MLPDenoiser
from mmdiffkd.models.widths.layout import Layout

from .model import Model
from .places import Place, feature_places, level_names
from .scores import Scores, alike, class_scores, module

Config = dict[str, Any]


class Draft(NamedTuple):
    """What to compare.

    Attributes:
        pairs (dict): The distiller's ``pairs``.
        options (dict): Further arguments of the distiller.
        may_drop (bool): Whether a connector may go where the features are of
            one shape.
    """

    pairs: dict[str, Any]
    options: dict[str, Any] = {}
    may_drop: bool = False


class DoesNotApply(Exception):
    """A method cannot be used with a pair, and why."""


def drafts(method: str, student: Model, teacher: Model) -> list[Draft]:
    """What a method may compare, the best first.

    Args:
        method (str): One of :data:`METHODS`.
        student (Model): The student.
        teacher (Model): The teacher.

    Returns:
        list[Draft]: At least one.

    Raises:
        DoesNotApply: If there is nothing that it could compare.
    """
    found = METHODS[method](student, teacher)
    if not found:
        raise DoesNotApply(
            'the models have no maps or tokens in common that have a gradient'
        )
    return found


def _diffkd(student: Model, teacher: Model) -> list[Draft]:
    scores = _alike_scores(student, teacher)
    connector: Config = dict(type='mmdiffkd.DiffKDConnector')
    if student.task == 'segmentation':
        connector['norm_cfg'] = dict(type='SyncBN')
    found = _features('kd', student, teacher, connector, _mse(student))
    if student.task == 'segmentation' and scores:
        loss = dict(type='mmdiffkd.DISTLoss', loss_weight=1.0)
        pair = _on(*scores, connector=connector, loss=loss)
        return [Draft(dict(kd=pair)), *found]
    if student.task == 'classification' and scores:
        if denoiser_is_too_large(scores[1].classes, teacher):
            logits = _on(*scores, loss=_divergence(student))
        else:
            mlp = connector | dict(denoiser=dict(type='MLPDenoiser'))
            loss = dict(type='mmdiffkd.KLDivergence', tau=1.0)
            logits = _on(*scores, connector=mlp, loss=loss)
        found = [
            Draft(dict(kd_feature=d.pairs['kd'], kd_logits=logits))
            for d in found
        ] or [Draft(dict(kd_logits=logits))]
    return found


def _mimic(student: Model, teacher: Model) -> list[Draft]:
    connector = dict(type='mmdiffkd.MimicConnector')
    return _features('mimic', student, teacher, connector, _mse(student))


def _cwd(student: Model, teacher: Model) -> list[Draft]:
    scores = _alike_scores(student, teacher)
    connector = dict(type='mmdiffkd.MimicConnector')
    weight = {'detection': 10.0, 'segmentation': 5.0}.get(student.task, 1.0)
    loss = dict(
        type='mmrazor.ChannelWiseDivergence', tau=1.0, loss_weight=weight
    )
    if (
        student.task == 'segmentation'
        and scores
        and scores[0].size == scores[1].size
    ):
        return [Draft(dict(cwd=_on(*scores, loss=loss)))]
    return _features('cwd', student, teacher, connector, loss, True)


def _pkd(student: Model, teacher: Model) -> list[Draft]:
    connector = dict(type='mmdiffkd.MimicConnector')
    weight = {'detection': 10.0}.get(student.task, 1.0)
    loss = dict(type='mmrazor.PKDLoss', loss_weight=weight)
    return _features('pkd', student, teacher, connector, loss, True)


def _dist(student: Model, teacher: Model) -> list[Draft]:
    scores = _equal_scores(student, teacher)
    weight = 2.0 if student.task == 'classification' else 1.0
    loss: dict[str, Any] = dict(
        type='mmdiffkd.DISTLoss',
        inter_loss_weight=weight,
        intra_loss_weight=weight,
    )
    if scores[0].sigmoid:
        loss['activation'] = 'sigmoid'
    elif scores[0].boxes > 1:
        loss['num_classes'] = scores[0].classes // scores[0].boxes
    return [Draft(dict(dist=_on(*scores, loss=loss)), _rois(scores[0]))]


def _kd(student: Model, teacher: Model) -> list[Draft]:
    scores = _equal_scores(student, teacher)
    if scores[0].sigmoid:
        raise DoesNotApply(
            'the classes of these heads are independent (sigmoid), and no '
            'softmax runs over them'
        )
    if scores[0].boxes > 1:
        raise DoesNotApply(
            f'each place scores {scores[0]}, and its softmax knows one'
        )
    pair = _on(*scores, loss=_divergence(student))
    return [Draft(dict(kd=pair), _rois(scores[0]))]


def _dkd(student: Model, teacher: Model) -> list[Draft]:
    if student.task != 'classification':
        raise DoesNotApply('it needs one label for each image')
    scores = _equal_scores(student, teacher)
    if 'head.loss_module' not in dict(student.net.named_modules()):
        raise DoesNotApply("the student's head has no loss_module to ask")
    loss = dict(type='mmdiffkd.DKDLoss', tau=1.0, alpha=1.0, beta=0.5)
    labels = dict(
        source='head.loss_module', recorder_type='ModuleInputs', data_idx=1
    )
    pair = _on(*scores, loss=loss, loss_inputs=dict(gt_labels=labels))
    return [Draft(dict(dkd=pair))]


def _dskd(student: Model, teacher: Model) -> list[Draft]:
    scores = class_scores(teacher)
    if scores is None or scores.on_rois:
        raise DoesNotApply(
            "the teacher has no classifier of the recorded feature's places"
        )
    if scores.own_modules:
        raise DoesNotApply(
            f'the teacher has a classifier for each level, {scores.source}, '
            'and it needs one for all'
        )
    places = list(feature_places(student, teacher))
    further: Config = {}
    if student.task == 'classification':
        guidance: Config = dict(head=_linear(teacher), pool=True, scale=10.0)
        further['diffusion_loss_weight'] = 10.0
    elif student.task == 'segmentation':
        before = _before(student), _before(teacher)
        places = [(before[0], before[1])] if before[0] and before[1] else []
        guidance = dict(head=scores.source, scale=0.5)
        further['norm_cfg'] = dict(type='SyncBN')
    else:
        tower = ['bbox_head.cls_convs', scores.source]
        tower = [n for n in tower if n in dict(teacher.net.named_modules())]
        guidance = dict(head=tower, activation='sigmoid', scale=0.5)
    connector = dict(type='mmdiffkd.DSKDConnector', guidance=guidance)
    result = []
    for ours, theirs in places:
        loss = dict(
            type='mmdiffkd.LSHFeatureLoss', channels=_channels(teacher, theirs)
        )
        if guidance.get('pool'):
            loss['pool'] = True
        pair = _at(student, teacher, ours, theirs)
        pair.update(connector=connector | further, loss=loss)
        result.append(Draft(dict(dskd=pair)))
    return result


def _features(
    name: str,
    student: Model,
    teacher: Model,
    connector: dict[str, Any],
    loss: dict[str, Any],
    may_drop: bool = False,
) -> list[Draft]:
    """A draft for each pair of places with features."""
    found = []
    for ours, theirs in feature_places(student, teacher):
        pair = _at(student, teacher, ours, theirs)
        pair.update(connector=connector, loss=loss)
        found.append(Draft({name: pair}, may_drop=may_drop))
    return found


def _at(
    student: Model, teacher: Model, ours: Place, theirs: Place
) -> dict[str, Any]:
    """Where a pair is found, its levels named if both sides have the same."""
    pair = _sides(ours.keys(), theirs.keys())
    names = level_names(student, ours.source)
    levels = names == level_names(teacher, theirs.source) and len(names) > 1
    if levels and ours.data_idx is None and not any(map(str.isdigit, names)):
        pair['levels'] = names
    return pair


def _sides(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    if ours == theirs:
        return dict(ours)
    return dict(student=dict(ours), teacher=dict(theirs))


def _on(ours: Scores, theirs: Scores, **rest: Any) -> dict[str, Any]:
    """A pair of class scores."""
    sides = ours.keys(), theirs.keys()
    if not ours.own_modules and not theirs.own_modules:
        return _sides(*sides) | rest  # levels are read from the models
    common = _common(ours, theirs)
    for keys, scores in zip(sides, (ours, theirs)):
        if not scores.own_modules:
            keys.update(outputs=list(scores.levels), index='record_idx')
        elif list(scores.levels) != common:
            keys.update(outputs=list(scores.levels))
    return _sides(*sides) | dict(levels=common) | rest


def _common(ours: Scores, theirs: Scores) -> list[str]:
    """Names of the levels that both sides score."""
    return [
        name
        for name in ours.levels
        if name in theirs.levels and not name.isdigit()
    ]


def _rois(scores: Scores) -> dict[str, Any]:
    return dict(student_rois=True) if scores.on_rois else {}


def _mse(student: Model) -> dict[str, Any]:
    """Mean squared error, with the weight of the shipped pairs of a task."""
    loss = dict(type='mmrazor.L2Loss', normalize=False, div_element=True)
    if student.task == 'detection':
        loss['loss_weight'] = 5.0
    return loss


def _divergence(student: Model) -> dict[str, Any]:
    """The divergence of KD, for class scores that no connector changes."""
    tau = 4.0 if student.task == 'classification' else 1.0
    return dict(type='mmdiffkd.KLDivergence', tau=tau, loss_weight=1.0)


def denoiser_is_too_large(classes: int, teacher: Model) -> bool:
    """Whether a denoiser of the logits is out of proportion to the teacher.

    Its weights grow with the square of the classes: 17 million for 1,000, and
    7.7 billion for the 21,843 of ImageNet-21k.
    """
    with torch.device('meta'):
        weights = MLPDenoiser(classes).parameters()
    return sum(w.numel() for w in weights) > 1e7 * teacher.millions


def _alike_scores(
    student: Model, teacher: Model
) -> tuple[Scores, Scores] | None:
    """The class scores of both sides, where they are of as many classes."""
    ours, theirs = class_scores(student), class_scores(teacher)
    if ours is None or theirs is None or not alike(ours, theirs):
        return None
    return ours, theirs


def _equal_scores(student: Model, teacher: Model) -> tuple[Scores, Scores]:
    """The class scores of both sides, place by place of the same classes."""
    ours, theirs = class_scores(student), class_scores(teacher)
    if ours is None or theirs is None:
        side = 'student' if ours is None else 'teacher'
        raise DoesNotApply(
            f'the {side} does not score several classes place by place'
        )
    if not alike(ours, theirs):
        if str(ours) != str(theirs):
            raise DoesNotApply(
                f'at each place, the student scores {ours}, the teacher '
                f'{theirs}'
            )
        raise DoesNotApply(
            'the two models score classes in different ways, or one class'
        )
    if ours.levels and not _common(ours, theirs):
        raise DoesNotApply(
            f'the student scores the levels {", ".join(ours.levels)}, the '
            f'teacher {", ".join(theirs.levels)}'
        )
    if not ours.levels and ours.size != theirs.size:
        raise DoesNotApply(
            f"the student's map of scores is {ours.size} on an image of "
            f"{student.seen.size} pixels, the teacher's {theirs.size}"
        )
    return ours, theirs


def _layout(model: Model, place: Place) -> Layout | None:
    return model.layouts(place.source)[place.data_idx or 0]


def _channels(model: Model, place: Place) -> int:
    found = _layout(model, place)
    return 0 if found is None else found.channels


def _linear(teacher: Model) -> str:
    """The classifier that gives the scores of an image."""
    for source in reversed(teacher.called('head')):
        if isinstance(module(teacher, source), nn.Linear):
            return source
    raise DoesNotApply("the teacher's head has no linear layer")


def _before(model: Model) -> Place | None:
    """The map that a segmentor's last layer turns into scores."""
    scores = class_scores(model)
    if scores is None:
        return None
    order = model.called('decode_head')
    given = model.seen.inputs[scores.source][0]
    if not given:
        return None
    for source in reversed(order[: order.index(scores.source)]):
        # With dropout, it is the same map with holes.
        if model.seen.outputs[source][0] == given[0] and not isinstance(
            module(model, source), nn.modules.dropout._DropoutNd
        ):
            return Place(source)
    return None


METHODS: dict[str, Callable[[Model, Model], list[Draft]]] = dict(
    diffkd=_diffkd,
    mimic=_mimic,
    dist=_dist,
    kd=_kd,
    dkd=_dkd,
    cwd=_cwd,
    pkd=_pkd,
    dskd=_dskd,
)
