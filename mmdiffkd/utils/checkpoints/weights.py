# Copyright (c) mmdiffkd contributors.
"""Load weights as the modules themselves read them."""

import re
from collections.abc import Mapping

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
        missing = model.load_state_dict(state, strict=False).missing_keys
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
