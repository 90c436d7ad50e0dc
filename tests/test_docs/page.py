# Copyright (c) mmdiffkd contributors.
"""The troubleshooting page as a reader sees it."""

import re
import sys
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / 'docs/en/_ext'))

import messages

MARKS = re.compile(r'^<!-- generated: messages(.*) -->$', re.MULTILINE)


@cache
def shown(checkout: Path) -> list[tuple[str, str]]:
    """Each message of the page, with the heading that it stands under."""
    text = (checkout / 'docs/en/troubleshooting.md').read_text()
    text = MARKS.sub(lambda m: messages.message_list(*m[1].split()), text)
    heading, found = '', []
    for line in text.splitlines():
        if line.startswith('## '):
            heading = line[3:]
        elif match := re.fullmatch(r'\* (`+) ?(.*?) ?\1', line):
            found.append((heading, match[2]))
    return found
