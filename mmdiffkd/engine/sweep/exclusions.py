# Copyright (c) mmdiffkd contributors.
"""Why a model is not in the base set, by what the library says."""

import re

OTHER = 'the library fails'

RULES = (
    (r'^other input: (.*)', r'other input: \1'),
    (r'^(the config cannot be read)', r'\1'),
    (r'^(no model in it|no training in it)', r'\1'),
    (r'^MemoryLimit', 'memory limit'),
    (r'^TimeLimit', 'time limit'),
    (r'No module named [\'"]([A-Za-z_]\w*)', r'missing package: \1'),
    (r'(\w+) is not installed', r'missing package: \1'),
    (r'pip install [\'"]*([A-Za-z][\w\[\]-]*)', r'missing package: \1'),
    (r'[Pp]lease install (\w+)', r'missing package: \1'),
    (r'[Dd]efault process group has not', 'needs several processes'),
    (r'(no network in a sweep)', 'needs a download'),
    (r"(?i)can't load|cannot find the requested files", 'needs a download'),
    (r'(?i)(cuda|nvidia)', 'needs a GPU'),
    (r'^FileNotFoundError', 'needs a file that is not shipped'),
)


def reason(error: str) -> str:
    """Class of an exclusion.

    Args:
        error (str): Of a row of the results.

    Returns:
        str: Such as ``'missing package: timm'``; :data:`OTHER` for what no
        rule knows.
    """
    for pattern, words in RULES:
        found = re.search(pattern, error)
        if found:
            return found.expand(words) if '\\' in words else words
    return OTHER
