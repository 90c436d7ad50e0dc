# Copyright (c) mmdiffkd contributors.
"""One training step of a model that has no memory."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from ..sweep.batches import batch, pad_to
from ..sweep.stock_step import first_that_works, sizes_of
from ..sweep.zoo import semantic_stride
from .ledger import BLOCK, Ledger
from .real_sections import Found, RealSections
from .twins import Twins

STUDENT, TEACHER, DISTILLER = 'student', 'teacher', 'distiller'
PARTS = (STUDENT, TEACHER, DISTILLER)


class Step(NamedTuple):
    """What one training step needs.

    Attributes:
        parameters (dict[str, int]): By part.
        trained (dict[str, int]): Those that the optimizer changes.
        multiply_adds (Counter): By part, and ``'forward'`` or ``'backward'``.
        peak (int): Memory, in bytes, at the worst moment.
        at_peak (Counter): That memory by part and kind.
        after_forward (Counter): Memory after the forward pass, likewise.
        features (int): The most memory that all but weights, gradients and
            the optimizer's state had at once, in bytes.
        with_features (int): All memory at that moment.
        real (dict[str, str]): Functions that were run for real, and why.
    """

    parameters: dict[str, int]
    trained: dict[str, int]
    multiply_adds: Counter
    peak: int
    at_peak: Counter
    after_forward: Counter
    features: int
    with_features: int
    real: dict[str, str]


def parts_of(model: Any) -> dict[str, nn.Module]:
    """Student, teacher and distiller of a model; a stock one is a student."""
    if not hasattr(model, 'architecture'):
        return {STUDENT: model}
    modules = model.student, model.teacher, model.distiller
    return dict(zip(PARTS, modules))


class Studio:
    """A model that takes training steps without memory.

    Args:
        model (nn.Module): Built, on the CPU. Its weights become fakes.
        cfg (Config): Of its training, for the optimizer.
        block (int): See :class:`~.ledger.Ledger`.
        found (Found, optional): Of other steps of the same estimate. Defaults
            to None.
    """

    def __init__(
        self,
        model: Any,
        cfg: Config,
        block: int = BLOCK,
        found: Found | None = None,
    ) -> None:
        self.model = model
        self.cfg = cfg
        self.block = block
        self.parts = parts_of(model)
        model.train()  # which of MMRazor's returns nothing
        if DISTILLER in self.parts:
            _settle(model, cfg)
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.twins = Twins(list(self.parts.values()), self.mode)
        self.found = found or Found()

    def step(
        self, count: int, size: tuple[int, int], alone: bool = False
    ) -> Step:
        """Forward pass, backward pass and optimizer, after a first step.

        Args:
            count (int): Images of the batch.
            size (tuple[int, int]): Height and width of the images, in pixels.
            alone (bool): Whether to train the student without distillation.
                Defaults to False.
        """
        model = self.parts[STUDENT] if alone else self.model
        parts = parts_of(model)
        scope = self.cfg.get('default_scope')
        ledger = Ledger(self.block)
        with DefaultScope.overwrite_default_scope(scope):
            inputs, samples = self._batch(model, count, size)
            optimizer = build_optim_wrapper(
                model, _plain(self.cfg.get('optim_wrapper'))
            ).optimizer
            with self.mode, ledger, _weights(ledger, parts):
                _first_step(optimizer, ledger, parts)
                inputs = self.mode.from_tensor(inputs)
                ledger.own([inputs], STUDENT, 'features')
                ledger.measure_anew()
                with self._at_work(model, parts, ledger):
                    losses = _losses(model, inputs, samples)
                    after_forward = ledger.live.copy()
                    _total(losses).backward()
                optimizer.step()
            optimizer.zero_grad()
        return Step(
            {k: _count(m) for k, m in parts.items()},
            {k: _count(m, True) for k, m in parts.items()},
            ledger.multiply_adds,
            ledger.peak,
            ledger.at_peak,
            after_forward,
            ledger.most_features,
            ledger.with_most_features,
            dict(self.found.reasons),
        )

    def _batch(self, model: Any, count: int, size: tuple[int, int]) -> tuple:
        """Random images and labels, as the model's preprocessor gives them."""
        # YOLOX's asks how far the Runner is.
        MessageHub.get_current_instance().update_info('iter', 0)
        preprocessor = model.data_preprocessor
        pad_to(preprocessor, size)
        data = batch(
            self.parts[STUDENT], size, count, semantic_stride(self.cfg)
        )
        data = preprocessor(data, True)
        return data['inputs'], data['data_samples']

    @contextmanager
    def _at_work(
        self, model: Any, parts: dict[str, nn.Module], ledger: Ledger
    ) -> Iterator[None]:
        """Book what each part does, and run for real what needs values."""
        sections = RealSections(
            self.twins,
            ledger,
            partial(_records, parts.get(DISTILLER)),
            self.found,
        )
        with ExitStack() as stack:
            stack.enter_context(_labels_copied())
            for name, part in parts.items():
                stack.enter_context(sections.watch(name, part))
            if DISTILLER in parts:
                model._first_iteration = False
                teacher = model._teacher_pass
                for name, owner, function in (
                    (TEACHER, model, '_run_teacher'),
                    (TEACHER, teacher, 'run_on_student_rois'),
                    (DISTILLER, model.distiller, 'compute_distill_losses'),
                ):
                    booked = _booked(ledger, name, getattr(owner, function))
                    setattr(owner, function, booked)
                    stack.callback(delattr, owner, function)
            yield


@contextmanager
def _labels_copied() -> Iterator[None]:
    """Let real tensors be copied, which fake mode refuses."""
    copy = Tensor.__deepcopy__

    def real_copy(tensor: Tensor, memo: dict) -> Tensor:
        if isinstance(tensor, FakeTensor):
            return copy(tensor, memo)
        with _disable_current_modes():
            return copy(tensor, memo)

    Tensor.__deepcopy__ = real_copy  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.__deepcopy__ = copy  # type: ignore[method-assign]


def _settle(model: Any, cfg: Config) -> None:
    """Let the teacher find what no record needs, on small images.

    It follows its first pass for that, and looks at values.
    """

    def attempt(side: int) -> None:
        # One that resizes whole batches remembers its first.
        preprocessor = copy.deepcopy(model.data_preprocessor)
        pad_to(preprocessor, side)
        data = batch(model.student, side, 2, semantic_stride(cfg))
        data = preprocessor(data, True)
        for _ in range(2):  # the first may only learn how to run
            model._run_teacher(data['inputs'], data['data_samples'])

    MessageHub.get_current_instance().update_info('iter', 0)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        first_that_works(sizes_of(model.student), attempt)


def _booked(ledger: Ledger, part: str, function: Callable) -> Callable:
    @wraps(function)
    def booked(*args: Any, **kwargs: Any) -> Any:
        with ledger.part(part):
            return function(*args, **kwargs)

    return booked


@contextmanager
def _weights(ledger: Ledger, parts: dict[str, nn.Module]) -> Iterator[None]:
    """Book weights, and gradients as they come."""
    handles = []
    for name, module in parts.items():
        ledger.own([*module.parameters(), *module.buffers()], name, 'weights')
        for parameter in module.parameters():
            if parameter.requires_grad:
                handles.append(
                    parameter.register_post_accumulate_grad_hook(
                        lambda p, name=name: ledger.own(
                            [p.grad], name, 'gradients'
                        )
                    )
                )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first_step(
    optimizer: torch.optim.Optimizer,
    ledger: Ledger,
    parts: dict[str, nn.Module],
) -> None:
    """Let the optimizer make its state."""
    for group in optimizer.param_groups:
        for parameter in group['params']:
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for name, module in parts.items():
        for parameter in module.parameters():
            state = optimizer.state.get(parameter, {})
            kept = [v for v in state.values() if isinstance(v, Tensor)]
            ledger.own(kept, name, 'optimizer')


def _losses(model: Any, inputs: Tensor, samples: Any) -> dict[str, Any]:
    losses = model(inputs, samples, mode='loss')
    assert isinstance(losses, dict)
    return losses


def _total(losses: dict[str, Any]) -> Tensor:
    """The sum that MMEngine makes of them."""
    terms = [
        item.mean()
        for name, value in losses.items()
        if 'loss' in name
        for item in (value if isinstance(value, list) else [value])
    ]
    return sum(terms[1:], terms[0])


def _records(distiller: Any) -> list[list]:
    if distiller is None:
        return []
    return [
        recorder.data_buffer
        for manager in (
            distiller.student_recorders,
            distiller.teacher_recorders,
        )
        for recorder in manager.recorders.values()
        if isinstance(getattr(recorder, 'data_buffer', None), list)
    ]


def _plain(wrapper: Any) -> dict[str, Any]:
    """The optimizer wrapper's config without mixed precision."""
    wrapper = wrapper or dict(optimizer=dict(type='SGD', lr=0.01))
    kept = {
        k: v
        for k, v in wrapper.items()
        if k not in ('loss_scale', 'dtype', 'use_fp16')
    }
    return dict(kept, type='OptimWrapper')


def _count(module: nn.Module, trained: bool = False) -> int:
    return sum(
        p.numel()
        for p in module.parameters()
        if p.requires_grad or not trained
    )
