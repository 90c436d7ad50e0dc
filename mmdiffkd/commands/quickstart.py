# Copyright (c) mmdiffkd contributors.
"""Train, distil, test and export a small student, and draw a report.

Every word behind the name is tools/quickstart.sh's.
"""

import os
import shutil
import sys
from pathlib import Path

import mmdiffkd
from mmdiffkd.utils import UserError
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.own_configs import link_own_configs


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Become the script, with this interpreter for its steps.

    Args:
        arguments (list[str], optional): Its arguments. Defaults to those of
            the command line.

    Raises:
        UserError: If there is no bash.
    """
    link_own_configs()
    # Resolved: in a checkout the script is to see that it is in one.
    script = (
        Path(mmdiffkd.__file__).parent / '.mim/tools/quickstart.sh'
    ).resolve()
    bash = shutil.which('bash')
    if bash is None:
        raise UserError('mmdiffkd quickstart is a script for bash: install it')
    words = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault('MMDIFFKD_PYTHON', sys.executable)
    os.execv(bash, [bash, str(script), *words])
