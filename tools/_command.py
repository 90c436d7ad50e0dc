#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Run the command of the package that has the name of this script.

The scripts of the package, here and in the folders below, are links to this
file: ``tools/train.py`` is ``mmdiffkd train``. The command's name is that of
the script, or its first words: ``export_student.py`` is ``mmdiffkd export``.
They need no installation, run from any folder, and suit launchers that want
the name of a file, such as torchrun, srun and MIM.
"""

import sys
from pathlib import Path

# A plain checkout has the package beside tools/. In a wheel, whose scripts
# are copies, nothing is there, and the installed package is taken.
for _root in Path(__file__).resolve().parents[1:3]:
    if (_root / 'mmdiffkd' / '__init__.py').is_file():
        sys.path.insert(0, str(_root))

from mmdiffkd import __main__ as entry  # noqa: E402


def command_of(script: str) -> str | None:
    """Name of the command that a script stands for.

    Args:
        script (str): Path as it was called.

    Returns:
        str | None: None for this file itself.
    """
    words = Path(script).stem.split('_')
    names = ('-'.join(words[:n]) for n in range(len(words), 0, -1))
    return next((name for name in names if name in entry.commands()), None)


def main() -> None:
    """Run it, with the arguments of the script."""
    command = command_of(sys.argv[0])
    if command is None:
        entry.main()
    else:
        entry.run(command)


if __name__ == '__main__':
    main()
