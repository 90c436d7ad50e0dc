# Copyright (c) mmdiffkd contributors.
"""Leave out the calls of modules that nothing asked for depends on."""

from collections.abc import Callable
from contextlib import ExitStack
from operator import is_
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from mmdiffkd.utils import UserError

from .call_tree import Call, CallTree
from .kept_state import KeptState, host_randomness
from .operations import PLAIN
from .stand_in import NoValuesError, StandIn, stand_in

if TYPE_CHECKING:
    from .data_flow import DataFlow

MAX_TRIALS = 5


class SkippedCalls:
    """Runs a frozen model without what the values asked for do not need.

    The first pass is followed, operation by operation: the calls of modules
    that no value asked for depends on, and no decision of the model, are left
    out from then on. They are not jumped over. They are given stand-ins,
    which have shapes and no values (:class:`~.stand_in.StandIn`): the code of
    the model runs as it did, what comes out with values is the same to the
    bit, and what needs a value that is not there is an error. After such an
    error, as where a later batch takes another way through the model, nothing
    is left out any more.

    Only calls with convolutions or matrix products are left out: those of
    nothing else cost less than their stand-ins. A model that draws random
    numbers, changes its own state or waits for other processes runs whole; so
    it does as long as other parts of it are in training mode than in the
    first pass.

    Args:
        model (nn.Module): The model, in eval mode.
        run (Callable): Runs it once, with the arguments of :meth:`run`.
        reset (Callable): Forgets the values of the last run, and returns what
            brings them back.
        values (Callable): Those of the last run that were asked for, as
            nested tuples, lists and dicts.
    """

    def __init__(
        self,
        model: nn.Module,
        run: Callable[..., None],
        reset: Callable[[], Callable[[], None]],
        values: Callable[[], Any],
    ) -> None:
        self._model = model
        self._run = run
        self._reset = reset
        self._values = values
        #: Calls that are left out, by the name of the module; None before the
        #: first pass.
        self.plan: dict[str, set[int]] | None = None
        self._modes: list[bool] = []

    def run(self, *args: Any) -> None:
        """Run the model; the values are those of a whole pass.

        Raises:
            UserError: If the model has kept a tensor without values where it
                cannot be taken back.
        """
        modes = [module.training for module in self._model.modules()]
        if self.plan is None:
            self._modes = modes
            self._learn(*args)
        elif not self.plan or modes != self._modes:
            self._run(*args)
        else:
            try:
                self._run_without(self.plan, *args)
            except Exception as error:
                self._run_whole_again(*args)  # which may be its own error
                _say(f'is run whole from now on ({error})')
                return
            if not _have_values(self._values()):
                self._run_whole_again(*args)
                _say('is run whole from now on: its control flow varies')

    def _run_whole_again(self, *args: Any) -> None:
        self.plan = {}
        self._reset()
        self._run(*args)
        if _stands_in(self._values()):
            raise UserError(
                'the teacher has kept tensors from a pass in which parts of '
                'it were left out; set model.skip_teacher_parts=False'
            )

    def _learn(self, *args: Any) -> None:
        try:
            flow = self._follow(*args)
            twice = sum(call.name == '' for call in flow.calls) > 1
            if twice and not flow.varies:
                # It was run twice, to find out how to; by now that is known.
                self._reset()
                flow = self._follow(*args)
        except Exception:
            # Its own error, which then comes without this file on its way.
            self._run_whole_again(*args)
            return
        calls, values = flow.calls, self._values()
        self.plan = {}
        needed = flow.of(values) | flow.pinned
        skipped = [] if flow.varies else _outermost(calls, needed)
        if not skipped:
            return
        # Whoever looks at the first pass sees all of it.
        bring_back = self._reset()
        for _ in range(MAX_TRIALS):
            plan: dict[str, set[int]] = {}
            for call in skipped:
                plan.setdefault(call.name, set()).add(call.index)
            obstacle = self._obstacle(plan, values, *args)
            self._reset()
            if obstacle is None:
                self.plan = plan
                _say(_summary(calls, skipped))
                break
            for call in calls:
                if type(call.module) is obstacle:
                    needed |= call.everything()
            skipped = _outermost(calls, needed)
            if not skipped:
                break
        bring_back()

    def _follow(self, *args: Any) -> 'DataFlow':
        # Not at the top: a run that only tests needs nothing of it.
        from .data_flow import DataFlow

        before = host_randomness()
        with DataFlow(self._model, args) as flow:
            self._run(*args)
        flow.varies |= host_randomness() != before
        return flow

    def _obstacle(
        self, plan: dict[str, set[int]], values: Any, *args: Any
    ) -> type | None:
        """Try a plan; the kind of module that needs values, if one does."""
        with CallTree(self._model) as tree:
            try:
                self._run_without(plan, *args)
            except Exception:
                # A kernel outside of PyTorch, or values in hidden ways.
                return type((tree.open or tree.calls)[-1].module)
        same = _equal(self._values(), values)
        return None if same else type(self._model)

    def _run_without(self, plan: dict[str, set[int]], *args: Any) -> None:
        refused = StandIn.refused
        parts = {name: self._model.get_submodule(name) for name in plan}
        with KeptState(parts.values()) as state, ExitStack() as stack:
            for name, indices in plan.items():
                stack.callback(_starve(parts[name], indices))
            self._run(*args)
        if state.restored:
            raise NoValuesError('a module has kept a stand-in')
        if StandIn.refused > refused:
            raise NoValuesError('the model went on without a value')


def _outermost(calls: list[Call], needed: int) -> list[Call]:
    """The calls with all of theirs that are not needed and would cost."""
    found: list[Call] = []
    waiting = calls[:1]
    while waiting:
        call = waiting.pop()
        if not any(part.flops for part in call.below()):
            continue
        if call.itself() & needed or call.writes_back:
            waiting.extend(call.children)
        else:
            found.append(call)
    return found


def _starve(module: nn.Module, indices: set[int]) -> Callable[[], None]:
    """Give some calls of a module stand-ins; returns what ends it."""
    before = vars(module).get('forward')
    whole = module.forward
    index = -1

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal index
        index += 1
        if index not in indices:
            return whole(*args, **kwargs)
        # Such as a counter of operations: there are none.
        with _disable_current_modes():
            given = tree_map(stand_in, (args, kwargs))
            leaves, layout = tree_flatten(given)
            output = whole(*given[0], **given[1])
        after, layout_after = tree_flatten(given)
        if layout != layout_after or not all(map(is_, leaves, after)):
            # Those are copies; the caller would see the change in its own.
            raise NoValuesError('an argument was changed')
        return output

    def end() -> None:
        if before is None:
            del module.forward
        else:
            module.forward = before

    module.forward = forward  # its hooks stay
    return end


def _have_values(value: Any) -> bool:
    leaves = tree_leaves(value)
    # Another object may hold stand-ins.
    return not _stands_in(value) and all(isinstance(x, PLAIN) for x in leaves)


def _stands_in(value: Any) -> bool:
    return any(isinstance(leaf, StandIn) for leaf in tree_leaves(value))


def _equal(some: Any, others: Any) -> bool:
    """Whether nested values are the same to the bit, NaN for NaN."""
    if not _have_values(some):
        return False
    some, others = tree_leaves(some), tree_leaves(others)
    return len(some) == len(others) and all(map(_equal_leaves, some, others))


def _equal_leaves(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if isinstance(one, FakeTensor) or isinstance(other, FakeTensor):
        return True
    same = one == other
    if one.is_floating_point():
        same |= one.isnan() & other.isnan()
    return bool(same.all())


def _summary(calls: list[Call], skipped: list[Call]) -> str:
    flops = sum(part.flops for call in skipped for part in call.below())
    share = 100 * flops / sum(call.flops for call in calls)
    names = sorted({call.name for call in skipped})
    rest = f' and {len(names) - 4} more' if len(names) > 4 else ''
    return (
        f'runs without what no record needs, {share:.0f} % of its operations '
        f'up to the last record: {", ".join(names[:4])}{rest}'
    )


def _say(text: str) -> None:
    print_log(f'the teacher {text}', 'current')
