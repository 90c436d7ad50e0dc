# Copyright (c) mmdiffkd contributors.
"""Formulas as MathML, which browsers show without a script or a network.

A formula that docutils cannot read is a warning, so that it ends the build;
scripts that run in the browser would only show it in red.
"""

import html
import re
import xml.etree.ElementTree as xml

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
SPACE = 'http://www.w3.org/1998/Math/MathML'
ENTITY = re.compile(r'&(?!amp;|lt;|gt;)\w+;')  # XML knows three of HTML's
xml.register_namespace('', SPACE)


def visit_math(translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    _write(translator, node, block=False)


def visit_math_block(translator, node: nodes.math_block) -> None:
    """Write a formula that stands alone."""
    _write(translator, node, block=True)


def mended(formula: str) -> str:
    """Put right what docutils makes of accents and of norms.

    An index behind a letter with an accent goes below the letter, and the
    second bar of a squared norm has another height than the first.

    Args:
        formula (str): MathML.

    Returns:
        str: MathML.
    """
    root = xml.fromstring(ENTITY.sub(lambda m: html.unescape(m[0]), formula))
    for node in root.iter(f'{{{SPACE}}}munderover'):
        letter, index, accent = node
        if accent.get('stretchy') == 'false':  # so docutils writes accents
            node.tag = f'{{{SPACE}}}msub'
            node[:] = [xml.Element(f'{{{SPACE}}}mover'), index]
            node[0].extend([letter, accent])
            node[0].set('accent', 'true')
    for node in root.iter(f'{{{SPACE}}}mo'):
        if node.text == '‖':
            node.set('stretchy', 'false')
    return xml.tostring(root, encoding='unicode')


def _write(translator, node: nodes.Element, block: bool) -> None:
    source = node.astext().strip()
    try:
        text = mended(tex2mathml(source, as_block=block))
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
