# Copyright (c) mmdiffkd contributors.
"""Sphinx's settings; ``bash tools/build_docs.sh`` builds the site.

The folder of sources is the root of the checkout, so that README, CHANGELOG,
CONTRIBUTING and the pages in ``configs/`` are pages of the site where they
stand, and their links are checked with all others.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs' / 'en' / '_ext')]

import mmdiffkd  # noqa: E402  (before autodoc meets MMRazor)

project = 'mmdiffkd'
author = 'mmdiffkd contributors'
copyright = author
release = version = mmdiffkd.__version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'generated_pages',
    'mathml',
    'short_names',
]
root_doc = 'docs/en/index'
source_suffix = {'.md': 'markdown'}
PAGES = ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'configs', 'docs')
# Whole folders, so that Sphinx does not walk through data and results.
exclude_patterns = [
    path.name for path in ROOT.iterdir() if path.name not in PAGES
] + ['docs/en/_*']

# Links to headings, by the names that GitHub gives them.
myst_heading_anchors = 4
myst_enable_extensions = ['dollarmath']

autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings say it, with shapes
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes of tuples are documented once

html_theme = 'furo'
html_title = f'mmdiffkd {release}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_extra_path = ['_root']
html_math_renderer = 'mathml'
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = '.linenos, .gp, .go'
