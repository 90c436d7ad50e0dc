# Copyright (c) mmdiffkd contributors.
"""Which shipped pairs are rows of a paper."""

MARK = 'Written by `mmdiffkd make-config`'


def of_papers(paths):
    """Leave out those that make-config wrote; the sweep's tests have them."""
    return [path for path in paths if MARK not in path.read_text()]
