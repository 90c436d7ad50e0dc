# Copyright (c) mmdiffkd contributors.
"""One table says what each line of the log means."""

import re

import pytest
import torch

from mmdiffkd.diffusion import (
    ClassifierGuidance,
    FeatureDiffusion,
    FeatureMimicking,
    SelfDiffusion,
)

HEADING = '## What each line of the log means\n'


@pytest.fixture(scope='module')
def named(checkout):
    """The names in the first column of the table."""
    page = (checkout / 'docs/en/how_diffkd_works.md').read_text()
    table = page.partition(HEADING)[2].partition('\n## ')[0]
    cells = re.findall(r'^\| (.+?) \|', table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r'`(.+?)`', cell)}


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (FeatureDiffusion, dict(latent_channels=4, direct_loss_weight=1.0)),
        (
            FeatureDiffusion,
            dict(noise_matching=dict(type='StudentNoiseLevel')),
        ),
        (FeatureMimicking, dict(latent_channels=4)),
        (SelfDiffusion, {}),
    ],
)
def test_what_a_connector_logs_is_in_the_table(kind, options, named):
    model = kind(4, 4, **options)
    extra = {}
    if kind is SelfDiffusion:
        extra = dict(guidance=ClassifierGuidance(lambda x: x.mean((1, 2, 3))))
    paired = model(torch.rand(2, 4, 3, 3), torch.rand(2, 4, 3, 3), **extra)
    logged = {**paired.losses, **paired.stats}
    assert logged
    assert {f'distill.NAME.{name}' for name in logged} <= named


def test_the_table_stands_nowhere_else(checkout):
    pages = [*checkout.glob('docs/en/**/*.md'), *checkout.glob('configs/*/*')]
    rows = re.compile(r'^\| `distill\..*\.(loss_diff|gamma_mean)` \|', re.M)
    found = [
        path.name
        for path in (*pages, checkout / 'README.md')
        if path.suffix == '.md' and rows.search(path.read_text())
    ]
    assert found == ['how_diffkd_works.md']
