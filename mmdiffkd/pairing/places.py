# Copyright (c) mmdiffkd contributors.
"""Where a model has features that can be compared; rules on shapes."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmdiffkd.models.widths.layout import Layout
from mmdiffkd.models.widths.levels import outputs_of
from mmdiffkd.models.widths.probe import Shape

from .model import Model

WHOLE_PICTURES = ('encoder', 'neck', 'backbone')
"""Names of modules that give features of the whole image, the most refined
first; a detector's heads and queries come after them."""


class Place(NamedTuple):
    """Where a feature is.

    Attributes:
        source (str): The module.
        data_idx (int, optional): Which element of its output, None for the
            output as a whole, or for all levels.
    """

    source: str
    data_idx: int | None = None

    def keys(self) -> dict[str, Any]:
        """As keys of a pair."""
        index = self.data_idx
        return dict(source=self.source) | (
            {} if index is None else dict(data_idx=index)
        )


def feature_places(
    student: Model, teacher: Model
) -> Iterator[tuple[Place, Place]]:
    """Pairs of places whose features may be compared, the best first.

    Detectors and their like have levels: the encoder's tokens where both
    sides have as many, else the neck's maps, else the backbone's. Of all
    others it is the last map, or the last tokens, of the backbone.
    """
    if student.task not in ('classification', 'segmentation'):
        ours, theirs = (_refined(model) for model in (student, teacher))
        for name in WHOLE_PICTURES:
            if name in ours and name in theirs:
                both = ours[name], theirs[name]
                if name != 'encoder' or _as_many(student, teacher, *both):
                    yield Place(both[0]), Place(both[1])
        for one in ('neck', 'backbone'):
            for other in ('neck', 'backbone'):
                if one != other and one in ours and other in theirs:
                    yield Place(ours[one]), Place(theirs[other])
    our_last, their_last = last_place(student), last_place(teacher, False)
    if our_last is not None and their_last is not None:
        yield our_last, their_last


def last_place(model: Model, trained: bool = True) -> Place | None:
    """The last map of a model's backbone, or its last tokens.

    A vector, or a map of one position, is no such feature: where the backbone
    ends in one, as those of ViT and ConvNeXt do, it is what a module in it
    gives last. A map with most of the backbone behind it is not its last
    either: a transformer that takes images of any size has tokens that fill
    no fixed map, and in front of them the map of its patches.

    Args:
        model (Model): The model.
        trained (bool): Whether the feature must have a gradient. Defaults to
            True.

    Returns:
        Place | None: None if there is no such feature.
    """
    backbone = named(model, 'backbone') or ''
    grids = ('map', 'tokens')
    for kinds, late in ((grids, True), (('sequence',), False), (grids, False)):
        for source in reversed(model.called(backbone)):
            if trained and not has_gradient(model, source):
                continue
            index = _last_of(model, source, kinds)
            if index is not None and (
                not late or _lies_behind_half(model, source, backbone)
            ):
                several = isinstance(model.seen.outputs[source][0], list)
                # From the end: in training some give auxiliary maps first.
                index -= len(model.layouts(source))
                return Place(source, index if several else None)
    return None


def _lies_behind_half(model: Model, source: str, backbone: str) -> bool:
    """Whether most parameters are used before the end of a module."""
    modules = dict(model.net.named_modules())
    order = model.called(backbone)
    behind = {
        name
        for name in order[order.index(source) + 1 :]
        if not source.startswith(f'{name}.')  # it is a part of that
    }
    sizes = {
        name: sum(p.numel() for p in modules[name].parameters(recurse=False))
        for name in order
    }
    return 2 * sum(sizes[name] for name in behind) <= sum(sizes.values())


def named(model: Model, name: str) -> str | None:
    """The module of that name which lies the least deep, if it is called."""
    found = [
        source
        for source in model.seen.outputs
        if source.split('.')[-1] == name
    ]
    return min(found, key=lambda source: source.count('.'), default=None)


def has_gradient(model: Model, source: str) -> bool:
    """Whether a trained parameter lies before the end of a module."""
    modules = dict(model.net.named_modules())
    order = list(model.seen.outputs)
    before = order[: order.index(source) + 1]
    parts = source.split('.')
    around = ['.'.join(parts[:n]) for n in range(len(parts))]
    return any(
        parameter.requires_grad
        for name in {*before, *around}
        for parameter in modules[name].parameters(recurse=False)
    )


def layout(model: Model, item: Layout | None) -> Layout | None:
    """A layout; tokens of a model of any image size fill no fixed map."""
    if item is not None and item.kind == 'tokens' and not model.seen.fixed:
        count = item.size[0] * item.size[1] + item.class_tokens
        return Layout('sequence', item.channels, (count, 1))
    return item


def level_names(model: Model, source: str) -> list[str]:
    """Names of the levels that a module gives, such as ``p3``."""
    outputs = outputs_of(model.seen, source)
    return [] if outputs is None else outputs.names


def _refined(model: Model) -> dict[str, str]:
    """Modules with features of the whole image, by their plain names."""
    found = {}
    for name in WHOLE_PICTURES:
        source = named(model, name)
        kinds = ('sequence', 'tokens') if name == 'encoder' else ('map',)
        if (
            source is not None
            and _last_of(model, source, kinds) is not None
            and (model.named.side == 'teacher' or has_gradient(model, source))
        ):
            found[name] = source
    return found


def _last_of(model: Model, source: str, kinds: tuple[str, ...]) -> int | None:
    """Which element, or call, is the last feature of some kinds."""
    items = [layout(model, item) for item in model.layouts(source)]
    for index in reversed(range(len(items))):
        item = items[index]
        if item and item.kind in kinds and item.size != (1, 1):
            return index
    return None


def _as_many(student: Model, teacher: Model, ours: str, theirs: str) -> bool:
    """Whether two encoders give as many tokens of one image."""
    shapes = [
        model.seen.outputs[source][0]
        for model, source in ((student, ours), (teacher, theirs))
    ]
    return student.seen.size == teacher.seen.size and all(
        isinstance(shape, Shape) and shape.dims[1] == shapes[0].dims[1]
        for shape in shapes
    )
