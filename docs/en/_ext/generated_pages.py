# Copyright (c) mmdiffkd contributors.
"""Put what is made from the sources into pages, where they ask for it.

A line ``<!-- generated: NAME -->`` in a page becomes what the function of
that name returns, in MyST's Markdown.
"""

import re

from config_reference import config_reference
from sphinx.application import Sphinx

WRITERS = dict(config_reference=config_reference)


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the marks in the text of a page."""
    source[0] = re.sub(
        r'^<!-- generated: (\w+) -->$',
        lambda mark: WRITERS[mark[1]](),
        source[0],
        flags=re.MULTILINE,
    )


def setup(app: Sphinx) -> dict:
    """Let Sphinx call :func:`fill` for each page that it reads."""
    app.connect('source-read', fill)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
