# Copyright (c) mmdiffkd contributors.
"""Does a shipped base say exactly what is to be compared?"""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.models.widths.fill_in import connector_uses
from mmdiffkd.models.widths.layout import Layout
from mmdiffkd.models.widths.records import Side
from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.own_configs import link_own_configs

from .choose import try_out
from .model import Model
from .named import folder_of
from .places import level_names

BASES = {
    ('detection', 'diffkd'): (
        'diffkd_reppoints',
        'diffkd_retina',
        'diffkd_faster_rcnn',
        'diffkd_fpn',
    ),
    ('detection', 'mimic'): ('mimic_tuned_fpn',),
    ('detection', 'cwd'): ('cwd_fpn',),
    ('detection', 'pkd'): ('pkd_fpn',),
    ('detection', 'dskd'): ('dskd_fpn',),
    ('segmentation', 'diffkd'): ('diffkd_seg',),
    ('segmentation', 'dist'): ('dist_seg_aux', 'dist_seg'),
    ('segmentation', 'kd'): ('kd_seg',),
    ('segmentation', 'cwd'): ('cwd_seg',),
    ('segmentation', 'dskd'): ('dskd_seg',),
    ('classification', 'diffkd'): ('diffkd_cls',),
    ('classification', 'dist'): ('dist_cls',),
    ('classification', 'kd'): ('kd_cls',),
    ('classification', 'dkd'): ('dkd_cls',),
    ('classification', 'dskd'): ('dskd_cls',),
}
"""Bases to try for a task and a method, the one that says most first."""


def fitting_base(method: str, student: Model, teacher: Model) -> str | None:
    """Find the shipped base that says what a method compares of two models.

    Args:
        method (str): The method.
        student (Model): The student.
        teacher (Model): The teacher.

    Returns:
        str | None: Its name as a base of a config, or None if widths, levels
        or modules are not those of any.
    """
    if student.named.config.get('custom_imports'):
        return None  # two bases must not define the same key
    link_own_configs()
    folder = folder_of('mmdiffkd')
    for name in BASES.get((student.task, method), ()):
        path = f'_base_/distillers/{name}.py'
        distiller = Config.fromfile(str(folder / path)).distiller
        if fits(distiller, student, teacher):
            return f'mmdiffkd::{path}'
    return None


def fits(distiller: Mapping[str, Any], student: Model, teacher: Model) -> bool:
    """Whether a distiller's modules, levels and widths are two models'."""
    parts = expand_distiller(distiller)
    sides = {
        model.named.side: Side(
            model.named.side,
            parts[f'{model.named.side}_recorders'],
            model.seen,
        )
        for model in (student, teacher)
    }
    if not _same_levels(distiller, student, teacher):
        return False
    uses = {use.name: use for use in connector_uses(parts)}
    for use in uses.values():
        both = [_layout(sides, use.side(own)) for own in (True, False)]
        widths = [
            use.config.get(key)
            for key in ('student_channels', 'teacher_channels')
        ]
        if not _agree(*both) or widths != [b.channels for b in both if b]:
            return False
    for mapping in parts.loss_forward_mappings.values():
        records = list(mapping.values())[:2]
        if any(record.get('connector') for record in records):
            continue
        ours, theirs = (_layout(sides, record) for record in records)
        if not _agree(ours, theirs) or ours.channels != theirs.channels:
            return False
    try:
        try_out(distiller, student, teacher)
    except UserError:
        return False
    return True


def _layout(
    sides: Mapping[str, Side], record: Mapping[str, Any] | None
) -> Any:
    if record is None:
        return None
    side = sides['student' if record['from_student'] else 'teacher']
    source = side.source(record)
    if source not in side.seen.outputs:
        # Of a cascade, it is the first stage.
        first = source.replace('bbox_head.', 'bbox_head.0.')
        calls = side.seen.outputs.get(first)
        if not calls:
            return None
        seen = side.seen._replace(outputs={source: calls})
        side = side._replace(seen=seen)
    return side.layout(record)


def _agree(ours: Layout | None, theirs: Layout | None) -> bool:
    return (
        ours is not None
        and theirs is not None
        and ours.kind == theirs.kind
        # Two stages propose other numbers of boxes.
        and ours.size == theirs.size
        and ours.kind in ('map', 'vector')
    )


def _same_levels(
    distiller: Mapping[str, Any], student: Model, teacher: Model
) -> bool:
    """Whether the outputs that a base names are those of the modules."""
    for pair in distiller['pairs'].values():
        named = pair.get('outputs')
        for model in (student, teacher):
            if named and level_names(model, pair['source']) != named:
                return False
    return True
