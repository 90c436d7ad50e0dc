# Copyright (c) mmdiffkd contributors.
"""Find what a mapping asks for among the records of an iteration."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from mmdiffkd.utils import UserError

from .overwritten import overwritten


def find_record(
    recorder: Any,
    where: str,
    record_idx: int,
    data_idx: int | None,
    pairs: Callable[[], Sequence[str]],
) -> Any:
    """An element of a record, or the record itself.

    Args:
        recorder (BaseRecorder): After the forward pass.
        where (str): Side and name of the recorder, for the message.
        record_idx (int): Which call of the module.
        data_idx (int, optional): Which element of its output; None for the
            output as a whole.
        pairs (Callable): Gives config keys of pairs with this recorder, for
            the message; called for it alone.

    Returns:
        Any: What was recorded.

    Raises:
        UserError: If nothing was recorded under these indices, or the model
            has overwritten it since.
    """
    records = recorder.data_buffer
    whole = f"{where} (source '{recorder.source}')"
    if not -len(records) <= record_idx < len(records):
        raise UserError(
            f'{whole} holds {len(records)} records in this '
            f'iteration, but record_idx={record_idx} is asked for; name a '
            'module that the forward pass calls that often'
            + (
                ''
                if records
                else '. MMSegmentation calls heads past their '
                'hooks: name a module inside, such as decode_head.conv_seg'
            )
        )
    record = records[record_idx]
    if data_idx is not None and (
        not isinstance(record, (list, tuple))
        or not -len(record) <= data_idx < len(record)
    ):
        what = (
            f'{len(record)} elements'
            if isinstance(record, (list, tuple))
            else f'a {type(record).__name__}'
        )
        raise UserError(
            f'{whole} recorded {what}, but data_idx={data_idx} is asked for'
            + (
                '; set data_idx=None for a Tensor'
                if isinstance(record, Tensor)
                else ''.join(
                    f'; {pair}.outputs, or levels, names what it gives'
                    for pair in pairs()
                )
            )
        )
    feature = record if data_idx is None else record[data_idx]
    if overwritten(feature):
        raise UserError(
            f"{where}: the output of its source '{recorder.source}' is "
            'overwritten later in the forward pass, as by `out += identity` '
            'behind the last norm of a residual block; name another module, '
            'such as the block or what comes behind it'
        )
    return feature
