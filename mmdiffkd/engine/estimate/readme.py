# Copyright (c) mmdiffkd contributors.
"""The table of costs in a README, which nobody types."""

import os.path as osp
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiffkd.utils import UserError

BEGIN, END = '<!-- costs: begin -->', '<!-- costs: end -->'
HEAD = [
    '| config | batch | GMAC, x floor | MiB | MiB an image |',
    '|---|---|---|---|---|',
]
ROW = re.compile(r'^\| \[([^]]+)\]')


def add_row(readme: str, config: str, estimate: Mapping[str, Any]) -> None:
    """Put a config's row into the table, in the place of its last one.

    Args:
        readme (str): Markdown file with a line :data:`BEGIN` and, below it, a
            line :data:`END`. All between them is the table.
        config (str): File of the config.
        estimate (Mapping): From :func:`~.costs.estimate`.

    Raises:
        UserError: If there are no such lines, or the config is no
            distillation.
    """
    if 'times_floor' not in estimate:
        raise UserError(f'--readme: {config} is no distillation')
    before, begin, table, end, after = check_table(readme)
    rows = {
        match[1]: line
        for line in table.splitlines()
        if (match := ROW.match(line))
    }
    link = osp.relpath(config, osp.dirname(readme) or '.')
    rows[link] = _row(link, estimate)
    lines = [*HEAD, *(rows[name] for name in sorted(rows))]
    Path(readme).write_text(
        f'{before}{begin}' + '\n'.join(lines) + f'\n{end}{after}',
        encoding='utf-8',
    )


def check_table(readme: str) -> list[str]:
    """The file before the table, its first line, rows, last line, the rest.

    Raises:
        UserError: If there is no such file, or no table in it.
    """
    if not osp.isfile(readme):
        raise UserError(f'--readme {readme}: there is no such file')
    text = Path(readme).read_text(encoding='utf-8')
    before, begin, rest = text.partition(f'{BEGIN}\n')
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(
            f'--readme {readme}: it has to have a line {BEGIN} and, below '
            f'it, a line {END}'
        )
    return [before, begin, table, end, after]


def _row(link: str, estimate: Mapping[str, Any]) -> str:
    height, width = estimate['input_size']
    cells = [
        f'[{link}]({link})',
        f'{estimate["batch_size"]} x {height} x {width}',
        f'{estimate["times_floor"]:.2f}',
        f'{estimate["peak"]:,.0f}',
        f'{estimate["per_image"]:,.0f}',
    ]
    return f'| {" | ".join(cells)} |'
