# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd COMMAND ...``, also as ``python -m mmdiffkd COMMAND ...``.

Only the standard library is imported until a command runs, so that the help
and a misspelt command are answered at once.
"""

import ast
import difflib
import importlib
import shutil
import sys
import textwrap
import warnings
from pathlib import Path

from mmdiffkd.version import __version__

FOLDER = Path(__file__).resolve().parent / 'commands'


def commands() -> dict[str, Path]:
    """The file of each command, by the command's name."""
    paths = sorted(FOLDER.glob('[!_]*.py'))
    return {path.stem.replace('_', '-'): path for path in paths}


def usage() -> str:
    """The help, with a line for each command from its docstring."""
    found = commands()
    start = max(map(len, found)) + 4
    lines = [
        textwrap.fill(
            _first_line(path),
            max(shutil.get_terminal_size().columns, start + 40),
            initial_indent=f'  {name}'.ljust(start),
            subsequent_indent=' ' * start,
        )
        for name, path in found.items()
    ]
    return '\n'.join(
        [
            'usage: mmdiffkd [-h] [--version] COMMAND ...',
            '',
            'Diffusion-based knowledge distillation for MMDetection,',
            'MMSegmentation and MMPretrain.',
            '',
            'commands:',
            *lines,
            '',
            '`mmdiffkd COMMAND --help` shows the arguments of a command.',
        ]
    )


def _first_line(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return (ast.get_docstring(tree) or '').partition('\n')[0]


def run(name: str, arguments: list[str] | None = None) -> None:
    """Run a command.

    Args:
        name (str): One of :func:`commands`.
        arguments (list[str], optional): The words behind its name. Defaults
            to those of the command line.
    """
    # Of MMEngine, for each `mmdet::` base; nothing that a user could mend.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    # Left out while the package was imported for the help alone.
    importlib.import_module('mmdiffkd.compat').setup()
    module = commands()[name].stem
    importlib.import_module(f'mmdiffkd.commands.{module}').main(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the first argument names.

    Args:
        arguments (list[str], optional): The words behind ``mmdiffkd``.
            Defaults to those of the command line.

    Raises:
        SystemExit: With code 2 where no command has that name.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        print(usage(), file=sys.stderr)
        sys.exit(2)
    name, *rest = words
    if name in ('-h', '--help'):
        print(usage())
    elif name == '--version':
        print(f'mmdiffkd {__version__}')
    elif name not in commands():
        close = difflib.get_close_matches(name, commands(), cutoff=0.5)
        hint = ', '.join(map(repr, close))
        sys.stderr.write(
            f'error: mmdiffkd has no command {name!r}'
            + (f'; the closest are {hint}' if close else '')
            + '; see mmdiffkd --help\n'
        )
        sys.exit(2)
    else:
        sys.argv[0] = f'mmdiffkd {name}'  # what the command calls itself
        run(name, rest)


if __name__ == '__main__':
    main()
