# Copyright (c) mmdiffkd contributors.
"""See the shapes of a model's features without training it."""

import copy
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from math import isinf
from typing import Any, NamedTuple

import torch
from mmengine.logging import MessageHub
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from mmdiffkd.utils import UserError, isolated_rng

from ..partial_pass.stand_in import StandIn, stand_in

SIZES = (256, 224, 384, 32, 512)
"""Sides of the dummy image to try in turn, in pixels. 256 is a multiple of
every total stride up to P8's; the others are what models of one size take."""

SIZE_NAMES = ('img_size', 'image_size', 'init_input_size')
"""Where modules of the three libraries keep the size they are made for."""

_HUB = 'mmdiffkd_probe'


class Shape(NamedTuple):
    """Shape of a tensor, in the place of the tensor.

    Attributes:
        dims (tuple[int, ...]): Such as (1, 256, 32, 32).
        floating (bool): Whether it holds floating point numbers.
    """

    dims: tuple[int, ...]
    floating: bool = True


class Probe(NamedTuple):
    """What a dummy image leaves in the modules of a model.

    Attributes:
        size (int): Height and width of the image, in pixels.
        fixed (bool): Whether the model names this size as its own.
        outputs (dict): For each module that was called, in the order in which
            calls end, the output of each call: a :class:`Shape`, a list of
            such, or None for anything else.
        inputs (dict): Likewise the positional arguments.
        error (str): How the forward pass ended early, or ``''``.
        whole (bool): Whether the forward pass came to its end.
    """

    size: int
    fixed: bool
    outputs: dict[str, list[Any]]
    inputs: dict[str, list[Any]]
    error: str = ''
    whole: bool = False

    def holds(self, needed: Mapping[str, float]) -> bool:
        """Whether each module was called at least once."""
        return all(self.outputs.get(name) for name in needed)

    def answers(self, needed: Mapping[str, float] | None) -> bool:
        """Whether a probe for these modules would see no more of them."""
        if needed is None:
            return self.whole
        return self.whole or _enough_of_all(self.outputs, needed)


FEW = 8
"""RoIs of the dummy image; no shape depends on their number."""


class _Enough(BaseException):
    """Leaves the forward pass; no ``except Exception`` may catch it."""


def probe(
    model: nn.Module,
    needed: Mapping[str, float] | None = None,
    size: int | None = None,
) -> Probe:
    """Run a dummy image through a copy of a model, in eval mode.

    As far as the model allows, the image has a shape and no values, so that
    nothing is computed.

    The copy shares the parameters and nothing else, so that buffers, modes,
    counters and hooks of the model stay as they are. No random number of the
    run is drawn, and no message of the run's MessageHub is touched.

    Args:
        model (nn.Module): A model of MMDetection, MMSegmentation or
            MMPretrain.
        needed (Mapping[str, float], optional): Modules that are asked about,
            and how often each must have been called before the forward pass
            may end; ``inf`` for one that may be called once a level.
            Defaults to None: all modules, to the end.
        size (int, optional): Height and width of the image, in pixels.
            Defaults to None: what the model names, else the first of
            :data:`SIZES` that it takes.

    Returns:
        Probe: What was seen. If no size leads to the end, or to all of
        ``needed``, the one that came furthest, with its ``error``.
    """
    own = own_sizes(model)
    sizes = (*own, *SIZES) if size is None else (size,)
    best: Probe | None = None
    for side in dict.fromkeys(sizes):
        seen = _run(model, side, side in own, needed)
        if not seen.error or (needed and seen.holds(needed)):
            return seen
        if best is None or len(seen.outputs) > len(best.outputs):
            best = seen
    assert best is not None
    return best


def own_sizes(model: nn.Module) -> list[int]:
    """Image sizes that a model says it is made for, the largest first."""
    found = set()
    for module in model.modules():
        for name in SIZE_NAMES:
            value = vars(module).get(name)
            sides = value if isinstance(value, (tuple, list)) else [value]
            found |= {s for s in sides if isinstance(s, int) and s > 15}
    return sorted(found, reverse=True)


def require(seen: Probe, needed: Mapping[str, float], side: str) -> None:
    """Check that all modules asked about were called.

    Raises:
        UserError: Naming those that were not, and why.
    """
    absent = [name for name in needed if not seen.outputs.get(name)]
    if absent:
        raise UserError(
            f"the {side}'s forward pass on a dummy image does not call "
            f'{absent}'
            + (f', because it fails: {seen.error}' if seen.error else '')
            + '; record a module that it calls, or write the numbers that '
            'were left out (student_channels, teacher_channels) yourself'
        )


def _run(
    model: nn.Module,
    size: int,
    fixed: bool,
    needed: Mapping[str, float] | None,
) -> Probe:
    """Probe with one image, of the channels that the model takes."""
    seen = Probe(size, fixed, {}, {})
    for channels in _image_channels(model):
        image = _image(model, channels, size)
        # Shapes need no values, and large models take seconds to compute
        # them; where a model asks for one, it gets them all.
        for given in (stand_in(image), image):
            found = _pass(model, given, needed)
            if not found.error:
                break
        if not (found.error and seen.error) or len(found.outputs) > len(
            seen.outputs
        ):
            seen = found._replace(size=size, fixed=fixed)
        if not found.error:
            break
    return seen


def _pass(
    model: nn.Module, image: Tensor, needed: Mapping[str, float] | None
) -> Probe:
    """One forward pass of a copy, with one image."""
    error, whole, refused = '', False, StandIn.refused
    with isolated_rng(gpu=True), _separate_messages(), torch.no_grad():
        twin = _copy(model)
        twin.eval()  # which of some models returns nothing
        propose_few(twin)
        recorder = _Recorder(twin, needed)
        try:
            _forward(twin, image, recorder)
            whole = True
        except _Enough:
            pass
        except Exception as failure:  # told with the module it hides
            lines = str(failure).strip().splitlines() or ['']
            error = f'{type(failure).__name__}: {lines[0]}'
    if StandIn.refused > refused:
        # A model may have caught it, and gone on in another way.
        error, whole = error or 'it needs values', False
    size = image.shape[-1]
    return Probe(size, False, recorder.outputs, recorder.inputs, error, whole)


class _Recorder:
    """Notes the shapes of what the modules of a model are given and give."""

    def __init__(
        self, model: nn.Module, needed: Mapping[str, float] | None
    ) -> None:
        self.outputs: dict[str, list[Any]] = {}
        self.inputs: dict[str, list[Any]] = {}
        self.paused = False
        self._needed = needed
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # it takes no hooks, and nobody could record it
            module.register_forward_hook(partial(self._note, name))

    def _note(self, name: str, _: nn.Module, inputs: Any, output: Any) -> None:
        if self.paused:
            return
        self.outputs.setdefault(name, []).append(_shapes(output))
        self.inputs.setdefault(name, []).append(_shapes(inputs))
        if self._needed and _enough_of_all(self.outputs, self._needed):
            raise _Enough

    def clear(self) -> None:
        """Forget a pass that failed."""
        self.outputs.clear()
        self.inputs.clear()


def _forward(model: nn.Module, image: Tensor, recorder: _Recorder) -> None:
    """One forward pass without labels, to the last prediction."""
    size = tuple(image.shape[-2:])
    sample = BaseDataElement(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1.0, 1.0),
        )
    )
    heads = ['auxiliary_head']
    # Sparse R-CNN and its like unpack the boxes, and use none of them.
    sample.gt_instances = InstanceData(
        bboxes=image.new_zeros(0, 4), labels=image.new_zeros(0).long()
    )
    extract: Any = getattr(model, 'extract_feat', None)
    try:
        model(image, [sample], mode='tensor')
    except Exception:
        if extract is None or not hasattr(model, 'decode_head'):
            raise
        # The head needs more than features, as Mask2Former's in
        # MMSegmentation does: what lies before it, then the head by itself.
        recorder.clear()
        features = extract(image)
        heads = ['decode_head', 'auxiliary_head']
    else:
        if getattr(model, 'auxiliary_head', None) is None:
            return
        # MMSegmentation calls these heads for their losses only.
        recorder.paused = True
        features = extract(image)
        recorder.paused = False
    for name in heads:
        part: Any = getattr(model, name, None)
        several = isinstance(part, nn.ModuleList)
        for head in [*part] if several else [part]:
            if head is not None:
                takes = signature(head.forward).parameters
                samples = [[sample]] if 'batch_data_samples' in takes else []
                head(features, *samples)


def _enough_of_all(
    outputs: Mapping[str, Sequence[Any]], needed: Mapping[str, float]
) -> bool:
    return all(
        _enough(outputs.get(name, ()), count) for name, count in needed.items()
    )


def _enough(calls: Sequence[Any], count: float) -> bool:
    # A module that gives all levels at once is not called for each.
    return len(calls) >= count or (
        isinf(count) and bool(calls) and isinstance(calls[0], list)
    )


def _shapes(data: Any) -> Any:
    if isinstance(data, Tensor):
        return Shape(tuple(data.shape), data.is_floating_point())
    if isinstance(data, (list, tuple)):
        return [_shapes(item) for item in data]
    return None


def _copy(model: nn.Module) -> nn.Module:
    """A copy of everything but the parameters, which both share."""
    shared = {id(p): p for p in model.parameters()}
    twin = copy.deepcopy(model, shared)
    for module in twin.modules():
        # Hooks of recorders belong to the model itself.
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def propose_few(model: nn.Module) -> None:
    """Let the heads of two stages see a few RoIs; no shape depends on them.

    A mask head on the usual thousand takes longer than all the rest.
    """
    cfg = getattr(getattr(model, 'rpn_head', None), 'test_cfg', None)
    if isinstance(cfg, MutableMapping) and 'max_per_img' in cfg:
        cfg['max_per_img'] = FEW


def _image(model: nn.Module, channels: int, size: int) -> Tensor:
    """A picture of a slope; a constant would do as well."""
    first = next(model.parameters(), torch.zeros(0))
    slope = torch.linspace(-1, 1, size, device=first.device)
    return slope.to(first.dtype).expand(1, channels, size, size)


def _image_channels(model: nn.Module) -> list[int]:
    """Three, or what the first convolution takes, such as LeNet's one."""
    first = [
        m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)
    ]
    return list(dict.fromkeys([3, *first[:1]]))


@contextmanager
def _separate_messages() -> Iterator[None]:
    """Let what a forward pass writes to the MessageHub go nowhere."""
    MessageHub.get_instance(_HUB)
    try:
        yield
    finally:
        MessageHub._instance_dict.pop(_HUB, None)
