# Copyright (c) mmdiffkd contributors.
"""Where a model scores the classes; rules on shapes."""

from typing import Any, NamedTuple

from torch import nn

from mmdiffkd.models.widths.levels import names_of

from .model import Model
from .places import Place, named


class Scores(NamedTuple):
    """Where the classes are scored.

    Attributes:
        source (str): The module.
        classes (int): Scores of one place.
        size (tuple[int, int]): (H, W) on the dummy image.
        sigmoid (bool): Whether each class is scored by itself.
        boxes (int): Boxes of one place, each of which has scores.
        levels (tuple[str, ...]): Names of the levels that a dense head
            scores. The module is called for each, unless its name has
            ``{index}``, and each level a module of its own.
        on_rois (bool): Whether the places are the RoIs of two stages.
        data_idx (int, optional): Which element of the module's output, None
            for the output as a whole.
    """

    source: str
    classes: int
    size: tuple[int, int] = (1, 1)
    sigmoid: bool = False
    boxes: int = 1
    levels: tuple[str, ...] = ()
    on_rois: bool = False
    data_idx: int | None = None

    def keys(self) -> dict[str, Any]:
        """As keys of a pair."""
        return Place(self.source, self.data_idx).keys()

    @property
    def own_modules(self) -> bool:
        """Whether each level has a module of its own."""
        return '{index}' in self.source

    def __str__(self) -> str:
        if self.boxes == 1:
            return f'{self.classes} classes'
        return f'{self.classes // self.boxes} classes of {self.boxes} boxes'


def class_scores(model: Model) -> Scores | None:
    """Find where a model scores the classes.

    Args:
        model (Model): The model.

    Returns:
        Scores | None: None if it scores no place by itself, as the queries
        of a DETR, or says nothing by its shapes.
    """
    rule = dict(
        classification=_of_image,
        segmentation=_of_pixels,
        detection=_of_boxes,
    ).get(model.task)
    return None if rule is None else rule(model)


def alike(student: Scores | None, teacher: Scores | None) -> bool:
    """Whether two scores are of the same number of several classes."""
    return (
        student is not None
        and teacher is not None
        and student.classes == teacher.classes > 1
        and student.sigmoid == teacher.sigmoid
        and student.boxes == teacher.boxes
        and student.on_rois == teacher.on_rois
        and bool(student.levels) == bool(teacher.levels)
    )


def module(model: Model, source: str) -> Any:
    """A module by its name."""
    return model.net.get_submodule(source)


def _of_image(model: Model) -> Scores | None:
    """The vector of a classification head."""
    layouts = model.layouts('head')
    if len(layouts) != 1 or layouts[0] is None:
        return None
    if isinstance(model.seen.outputs['head'][0], list):
        return None
    head, found = module(model, 'head'), layouts[0]
    count = getattr(head, 'num_classes', None) or found.channels
    if found.kind != 'vector' or count != found.channels:
        return None
    return Scores('head', found.channels)


def _of_pixels(model: Model) -> Scores | None:
    """The last map with a channel for each class."""
    head = getattr(model.net, 'decode_head', None)
    if isinstance(head, nn.ModuleList):
        head = head[-1]
    count = getattr(head, 'out_channels', None)
    for source in reversed(model.called('decode_head')):
        if hasattr(module(model, source), 'loss_decode'):
            continue  # the library calls heads past their hooks
        several = isinstance(model.seen.outputs[source][0], list)
        for index, layout in reversed([*enumerate(model.layouts(source))]):
            if layout and layout.kind == 'map' and layout.channels == count:
                return Scores(
                    source,
                    count,
                    layout.size,
                    data_idx=index if several else None,
                )
    return None


def _of_boxes(model: Model) -> Scores | None:
    """Of two stages the layer for RoIs, else the maps of a dense head."""
    rois = getattr(model.net, 'roi_head', None)
    if rois is not None:
        for stage in ('', '.0'):
            source = f'roi_head.bbox_head{stage}.fc_cls'
            if source in model.seen.outputs:
                layer = module(model, source)
                width = getattr(layer, 'out_features', 0)
                return Scores('roi_head.bbox_head.fc_cls', width, on_rois=True)
        return None
    head = getattr(model.net, 'bbox_head', None)
    count = getattr(head, 'cls_out_channels', None)
    if not isinstance(count, int) or count < 2:
        return None
    levels = len(model.layouts(named(model, 'neck') or 'backbone'))
    for source in reversed(model.called('bbox_head')):
        # The head itself has no parent here.
        *_, parent, name = ('', *source.split('.'))
        shared = 'cls' in name
        if not shared and not ('cls' in parent and name.isdigit()):
            continue
        above = source.removesuffix(f'.{name}')
        sources = [source] if shared else _numbered(model, above)
        shapes = [s for one in sources for s in model.seen.outputs[one]]
        layouts = [f for one in sources for f in model.layouts(one)]
        first = layouts[0] if layouts else None
        if (
            len(shapes) == len(layouts) == levels > 1
            and first is not None
            and all(
                f and f.kind == 'map' and f.channels % count == 0
                for f in layouts
            )
            and len({f.channels for f in layouts if f}) == 1
        ):
            return Scores(
                source if shared else f'{above}.{{index}}',
                first.channels,
                first.size,
                bool(getattr(head, 'use_sigmoid_cls', False)),
                first.channels // count,
                tuple(names_of(shapes, model.seen.size)),
            )
    return None


def _numbered(model: Model, above: str) -> list[str]:
    """The elements of a list of modules, all of which must be called."""
    names = [f'{above}.{i}' for i in range(len(module(model, above)))]
    return names if all(name in model.seen.outputs for name in names) else []
