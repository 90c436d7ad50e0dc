# Copyright (c) mmdiffkd contributors.
"""Formulas as MathML, which browsers show without a script or a network.

A formula that docutils cannot read is a warning, so that it ends the build;
scripts that run in the browser would only show it in red.
"""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def visit_math(translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    _write(translator, node, block=False)


def visit_math_block(translator, node: nodes.math_block) -> None:
    """Write a formula that stands alone."""
    _write(translator, node, block=True)


def _write(translator, node: nodes.Element, block: bool) -> None:
    source = node.astext().strip()
    try:
        text = tex2mathml(source, as_block=block)
    except (SyntaxError, ValueError) as error:
        logger.warning(
            'formula %r: %s', source, error, location=node, type='mathml'
        )
        text = translator.encode(source)
    translator.body.append(text)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer(
        'mathml', (visit_math, None), (visit_math_block, None)
    )
    return dict(parallel_read_safe=True, parallel_write_safe=True)
