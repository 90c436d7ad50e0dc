# Copyright (c) mmdiffkd contributors.
"""Models whose weights have shapes and take no memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode


class Twins:
    """Parameters and buffers of models, each of which has a fake twin.

    Args:
        models (list[nn.Module]): Built; their weights are replaced in place
            by the fakes.
        mode (FakeTensorMode): Makes the fakes.
    """

    def __init__(self, models: list[nn.Module], mode: FakeTensorMode) -> None:
        self._real: dict[int, Tensor] = {}
        self._fake: dict[int, Tensor] = {}
        # Both stay alive here, so that no other tensor gets their ids.
        for model in models:
            for module in model.modules():
                for place, name, tensor in _weights(module):
                    place[name] = self._twin(tensor, mode)

    def _twin(self, real: Tensor, mode: FakeTensorMode) -> Tensor:
        if id(real) in self._real:
            return real  # of a module that stands in two places
        if id(real) not in self._fake:
            fake: Tensor = mode.from_tensor(real)
            if isinstance(real, nn.Parameter):
                fake = nn.Parameter(fake.detach(), real.requires_grad)
            self._fake[id(real)] = fake
            self._real[id(fake)] = real
        return self._fake[id(real)]

    def real(self, fake: Tensor) -> Tensor | None:
        """The real twin of a fake, if it is a weight."""
        return self._real.get(id(fake))

    @contextmanager
    def awake(self, module: nn.Module) -> Iterator[list[Tensor]]:
        """Put a module's real weights in place; gives the fakes."""
        replaced = []
        for part in module.modules():
            for place, name, fake in _weights(part):
                real = self._real.get(id(fake))
                if real is not None:
                    place[name] = real
                    replaced.append((place, name, fake))
        try:
            yield [fake for _, _, fake in replaced]
        finally:
            for place, name, fake in replaced:
                place[name] = fake


def _weights(module: nn.Module) -> Iterator[tuple[dict, str, Tensor]]:
    """Where the tensors of a module itself are kept."""
    for place in (module._parameters, module._buffers):
        for name, tensor in list(place.items()):
            if tensor is not None:
                yield place, name, tensor
