# Copyright (c) mmdiffkd contributors.
"""Put what is made from the sources into pages, where they ask for it.

A line ``<!-- generated: NAME WORDS -->`` in a page becomes what the function
of that name returns for these words, in MyST's Markdown.
"""

import re

from config_reference import config_reference
from messages import message_list
from sphinx.application import Sphinx

WRITERS = dict(config_reference=config_reference, messages=message_list)
MARK = re.compile(r'^<!-- generated: (\w+)(.*) -->$', re.MULTILINE)


def filled(text: str) -> str:
    """The text of a page, with what its marks stand for."""
    return MARK.sub(lambda mark: WRITERS[mark[1]](*mark[2].split()), text)


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Fill in a page as Sphinx reads it."""
    source[0] = filled(source[0])


def setup(app: Sphinx) -> dict:
    """Let Sphinx call :func:`fill` for each page that it reads."""
    app.connect('source-read', fill)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
