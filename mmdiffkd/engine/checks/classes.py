# Copyright (c) mmdiffkd contributors.
"""Do the labels of the data and the heads of a model fit?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from torch import nn

from mmdiffkd.utils.distillation import has_student
from mmdiffkd.utils.errors import UserError

from .data_sets import Part, class_names, label_names

# Branches that never see the class of an object: proposals, and semantic
# segmentation beside detection.
OTHER_LABELS = {'rpn_head', 'semantic_head'}


def student_head(cfg: Config, name: str) -> Mapping:
    """The student's head in a config; of a cascade, the last.

    Args:
        cfg (Config): Of a model, or of an algorithm around one.
        name (str): Key of the head, such as ``decode_head``.

    Returns:
        Mapping: Empty where the student has no such head.
    """
    model = cfg.get('model') or {}
    if has_student(cfg):
        model = model.get('architecture') or {}
    head = model.get(name)
    if isinstance(head, (list, tuple)) and head:
        head = head[-1]
    return head if isinstance(head, Mapping) else {}


def head_classes(model: nn.Module) -> dict[str, int]:
    """Count the classes that each head of a model tells apart.

    A head is a module with ``num_classes`` and with weights. A preprocessor
    has none, and the 1000 of MMPretrain's says nothing about the model;
    neither has a loss.

    Args:
        model (nn.Module): Detector, segmentor or classifier.

    Returns:
        dict[str, int]: Count by name of the module. Empty where nothing says
        so, and for models that look for objects of any class.
    """
    # With a language model, the words of a sample decide.
    if 'RPN' in _kinds(model) or hasattr(model, 'language_model'):
        return {}
    return {
        name: _told_apart(module)
        for name, module in model.named_modules()
        if name  # what the whole says is a copy
        and isinstance(getattr(module, 'num_classes', None), int)
        and module.num_classes > 0
        and any(True for _ in module.parameters())
        and not OTHER_LABELS & set(name.split('.'))
        and not _makes_own_labels(name, module)
    }


def num_classes(model: nn.Module) -> int | None:
    """Classes that every head of a model tells apart, None if none says.

    Args:
        model (nn.Module): Detector, segmentor or classifier.

    Returns:
        int | None: That of the head with the fewest.
    """
    return min(head_classes(model).values(), default=None)


def _told_apart(head: Any) -> int:
    """Classes of a head; one output of MMSegmentation tells two apart."""
    if getattr(head, 'out_channels', None) == 1 and hasattr(head, 'conv_seg'):
        return 2
    return head.num_classes


def _kinds(module: nn.Module) -> list[str]:
    return [kind.__name__ for kind in type(module).__mro__]


def _makes_own_labels(name: str, module: nn.Module) -> bool:
    """Whether an auxiliary head of MMSegmentation learns something else.

    STDC's learns boundaries, two classes, in its own ``loss_by_feat``.
    """
    if not name.startswith('auxiliary_head'):
        return False
    for kind in type(module).__mro__:
        if 'loss_by_feat' in vars(kind):
            return kind.__name__ != 'BaseDecodeHead'
    return False


def check_classes(found: Sequence[Part], model: nn.Module) -> None:
    """Refuse labels beyond the student's outputs; a GPU names no cause.

    Args:
        found (Sequence[Part]): The training data.
        model (nn.Module): The student.

    Raises:
        UserError: If a set has more classes than a head.
    """
    heads = head_classes(model)
    for part in found:
        count = len(_of_objects(part))
        for name, outputs in heads.items():
            if count > outputs:
                where = f' ({part.key})' if len(found) > 1 else ''
                raise UserError(
                    f'the training data{where} has {count} classes, and the '
                    f'student tells {outputs} apart: set num_classes of its '
                    f'head, {name}, below model.architecture'
                )


def _of_objects(part: Part) -> Sequence[str]:
    """Classes of instances; of a panoptic set, those that can be counted."""
    meta = getattr(part.dataset, 'metainfo', None)
    things = meta.get('thing_classes') if isinstance(meta, Mapping) else None
    return things or class_names(part.dataset)


def label_conflicts(found: Sequence[Part]) -> Iterator[str]:
    """Say where a label means two things, or not what it is called.

    Args:
        found (Sequence[Part]): Sets that are used in one run.

    Yields:
        str: A warning for each pair of sets, or set, that disagrees.
    """
    for part in found:
        names, meant = class_names(part.dataset), label_names(part.dataset)
        if set(meant) < set(names):
            absent = sorted(set(names) - set(meant))
            shifted = meant != names[: len(meant)]
            yield (
                f'{part.key}: its annotations have no category named '
                f'{absent[0]!r}'
                + (f' (nor {len(absent) - 1} more)' if absent[1:] else '')
                + (
                    f', so that label {_first(names, meant)}'
                    if shifted
                    else ''
                )
            )
        elif meant != names and set(meant) == set(names):
            yield (
                f'{part.key}: label {_first(names, meant)}. MMDetection '
                "numbers them in the order of the file's categories: write "
                'metainfo.classes in that order'
            )
    if not found:
        return
    first = found[0]
    for part in found[1:]:
        for names_of in (class_names, label_names):
            ours, other = names_of(first.dataset), names_of(part.dataset)
            if any(a != b for a, b in zip(ours, other)):
                at = next(
                    i for i, n in enumerate(zip(ours, other)) if n[0] != n[1]
                )
                yield (
                    f'label {at} means two things: {ours[at]!r} in '
                    f'{first.key}, {other[at]!r} in {part.key}'
                    + (
                        ', which has the same classes in another order'
                        if set(ours) == set(other)
                        else ''
                    )
                    + '. Give all sets the same metainfo.classes, in the '
                    'same order (and, of COCO files, the same categories)'
                )
                break


def _first(names: Sequence[str], meant: Sequence[str]) -> str:
    at = next(i for i, n in enumerate(meant) if n != names[i])
    return f'{at} is {meant[at]!r} and is called {names[at]!r}'
