# Copyright (c) mmdiffkd contributors.
"""Load weights as the modules themselves read them."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

_MISMATCH = re.compile(
    r'size mismatch for (?P<key>.+): copying a param with '
    r'shape torch\.Size\(\[(?P<file>.*)\]\) from '
    r'checkpoint, the shape in current model is '
    r'torch\.Size\(\[(?P<model>.*)\]\)'
)


def load_fitting(
    model: nn.Module, state: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Load what fits, and tell what was left as it was.

    Modules may rename what an older release has written, or resize position
    embeddings. Therefore only loading itself tells what fits.

    Args:
        model (nn.Module): The model, changed in place.
        state (Mapping[str, Tensor]): Weights by name; keys that the model
            does not know are ignored.

    Returns:
        tuple[list[str], list[str]]: Names that were not in ``state``, the
        counters of batch norms aside, and a line for each that has another
        shape there.
    """
    try:
        found = model.load_state_dict(state, strict=False)
        missing = lacking(model, state, found.missing_keys)
        wrong: list[str] = []
    except RuntimeError as error:
        missing = [key for key in model.state_dict() if key not in state]
        lines = [line.strip() for line in str(error).splitlines() if line]
        wrong = [
            _MISMATCH.sub(
                r'\g<key>: (\g<file>) in the file, (\g<model>) in '
                'the model',
                line,
            ).rstrip('.')
            for line in lines[1:] or lines
        ]
    return [
        key for key in missing if not key.endswith('num_batches_tracked')
    ], wrong


def lacking(
    model: nn.Module, state: Mapping[str, Tensor], missing: Iterable[str]
) -> list[str]:
    """Of the names that loading did not find, those that ``state`` lacks.

    Swin Transformer V2 drops the tables of its positions from whatever it
    loads, since it computes them by its window.

    Args:
        model (nn.Module): The model.
        state (Mapping[str, Tensor]): What was loaded.
        missing (Iterable[str]): As ``load_state_dict`` gives them.

    Returns:
        list[str]: Without the buffers that are in ``state``.
    """
    buffers = {name for name, _ in model.named_buffers()}
    return [k for k in missing if not (k in buffers and k in state)]
