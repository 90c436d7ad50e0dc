# Copyright (c) mmdiffkd contributors.
"""torchrun that ends with 2 where the first process to fail did so.

That is a mistake in the call, which the process itself has told in one line;
torchrun's report on it is left out. Run by torchrun.sh.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

MISTAKE = 2


def _worth_saying(record: logging.LogRecord) -> bool:
    """Whether a line of the log is not `failed (exitcode: 2) ...`."""
    args = record.args
    return not (
        str(record.msg).startswith('failed (exitcode')
        and isinstance(args, tuple)
        and args[:1] == (MISTAKE,)
    )


if __name__ == '__main__':
    logging.getLogger(
        'torch.distributed.elastic.multiprocessing.api'
    ).addFilter(_worth_saying)
    try:
        main()
    except ChildFailedError as error:
        if error.get_first_failure()[1].exitcode != MISTAKE:
            raise
        sys.exit(MISTAKE)
