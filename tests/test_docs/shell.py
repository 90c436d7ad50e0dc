# Copyright (c) mmdiffkd contributors.
"""The commands that the pages show, as a shell would call them.

A shell runs all blocks of a page one after another, with programs in the
place of the real ones that note what they are called with and do nothing.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ('bash', 'mmdiffkd', 'pip', 'pre-commit', 'python', 'sbatch')
BLOCK = re.compile(r'^( *)```bash\n(.*?)^ *```$', re.M | re.S)
RUN = re.compile(r'<!-- run: (.*) -->\s*\Z')
NEEDS = re.compile(r'^\s*# needs ', re.M)

# Ends each word with a NUL and each call with one more.
NOTE = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$@" '' >>"$CALLS"
case "$*" in *--print-python) echo python ;; esac
"""


class Block(NamedTuple):
    """A block of commands.

    Attributes:
        page (str): Path of the page, relative to the checkout.
        text (str): The commands.
        tests (list[str]): Tests that a comment in front of it names.
        needs (bool): Whether it says that it needs data, GPUs or hours.
        calls (list[list[str]]): Program and arguments of each command.
    """

    page: str
    text: str
    tests: list[str]
    needs: bool
    calls: list[list[str]]


def pages(checkout: Path) -> list[Path]:
    """Every page that a reader finds."""
    return [
        checkout / 'README.md',
        checkout / 'CONTRIBUTING.md',
        *sorted((checkout / 'docs/en').rglob('*.md')),
        *sorted((checkout / 'configs').rglob('*.md')),
    ]


def make_folder(folder: Path, checkout: Path) -> None:
    """A folder that looks like a checkout, with programs that take notes."""
    (folder / 'programs').mkdir()
    for name in ('configs', 'docs', 'tests'):
        (folder / name).symlink_to(checkout / name)
    scripts = [
        folder / path.relative_to(checkout)
        for path in (checkout / 'tools').rglob('*')
        if path.suffix in ('.sh', '.py')
    ]
    for path in [folder / 'programs' / name for name in PROGRAMS] + scripts:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NOTE)
        path.chmod(0o755)


def read(page: Path, checkout: Path, folder: Path) -> list[Block]:
    """The blocks of a page.

    Args:
        page (Path): The page.
        checkout (Path): The checkout that it belongs to.
        folder (Path): See :func:`make_folder`.

    Returns:
        list[Block]: In their order.
    """
    text = page.read_text()
    found = list(BLOCK.finditer(text))
    script = '\n'.join(
        f'printf \'# {i}\\0\\0\' >>"$CALLS"\n{match[2]}'
        for i, match in enumerate(found)
    )
    notes = folder / 'calls'
    notes.write_bytes(b'')
    done = subprocess.run(
        ['/bin/bash', '-eu', '-c', script],
        cwd=folder,
        env=dict(
            PATH=f'{folder / "programs"}:{os.environ["PATH"]}',
            CALLS=str(notes),
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f'{page}: {done.stderr}'
    calls: list[list[list[str]]] = []
    for call in notes.read_text().split('\0\0')[:-1]:
        words = call.split('\0')
        if words[0].startswith('# '):
            calls.append([])
        else:
            calls[-1].append(words)
    return [
        Block(
            page=page.relative_to(checkout).as_posix(),
            text=match[2],
            tests=(
                m[1].split()
                if (m := RUN.search(text[: match.start()]))
                else []
            ),
            needs=bool(NEEDS.search(match[2])),
            calls=of_block,
        )
        for match, of_block in zip(found, calls, strict=True)
    ]
