# Copyright (c) mmdiffkd contributors.
"""Configs that the pages show can be read."""

import re

from mmengine.config import Config

PAGES = (
    'coming_from',
    'distil_your_own',
    'get_started',
    'how_diffkd_works',
    'questions',
    'troubleshooting',
)


def blocks(checkout, language):
    """Code of a language, by page."""
    for page in PAGES:
        text = (checkout / f'docs/en/{page}.md').read_text()
        for code in re.findall(
            rf'^```{language}\n(.*?)^```$', text, re.M | re.S
        ):
            yield page, code


def test_configs_can_be_read(checkout, tmp_path):
    configs = [
        code for _, code in blocks(checkout, 'python') if '_base_ =' in code
    ]
    assert len(configs) >= 2
    for i, code in enumerate(configs):
        path = tmp_path / f'c{i}.py'
        path.write_text(code)
        assert Config.fromfile(path).model.type
