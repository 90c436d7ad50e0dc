# Copyright (c) mmdiffkd contributors.
"""Accents and norms of a formula stand where a reader expects them."""

import xml.etree.ElementTree as xml

import pytest
from docutils.utils.math.latex2mathml import tex2mathml
from mathml import mended


def tags(formula):
    """Names and texts of the elements below the root."""
    return [
        (node.tag.rpartition('}')[2], (node.text or '').strip())
        for node in xml.fromstring(mended(tex2mathml(formula))).iter()
    ][1:]


@pytest.mark.parametrize('accent', ['hat', 'bar', 'tilde', 'dot'])
def test_an_index_stands_beside_a_letter_with_an_accent(accent):
    found = tags(rf'\{accent} x_0')
    assert found[:3] == [('msub', ''), ('mover', ''), ('mi', 'x')]
    assert found[3][0] == 'mo' and found[4:] == [('mn', '0')]


def test_limits_of_a_sum_stay():
    assert ('munderover', '') in tags(r'\sum_{i=0}^n x_i')


def test_both_bars_of_a_squared_norm_have_one_height():
    formula = xml.fromstring(mended(tex2mathml(r'\Vert x \Vert^2')))
    bars = [node for node in formula.iter() if node.text == '‖']
    assert len(bars) == 2
    assert all(node.get('stretchy') == 'false' for node in bars)


def test_functions_and_fractions_can_be_read():
    found = tags(r'\log_{10} \frac{a}{b} < c')
    assert ('mi', 'log') in found and ('mo', '<') in found
