# Copyright (c) mmdiffkd contributors.
"""What is compiled of a teacher, and what is left as it is."""

import pytest
import torch
from torch import nn

from mmdiffkd.models.algorithms.compiled_parts import compile_parts
from mmdiffkd.models.partial_pass.stand_in import StandIn, stand_in


def block():
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU())


@pytest.fixture
def teacher():
    torch.manual_seed(0)
    model = nn.Module()
    model.backbone = nn.Sequential(block(), block())
    model.neck = nn.ModuleList([block(), block()])
    model.head = nn.Linear(4, 2)
    return model


@pytest.mark.parametrize(
    'recorded, left_out, expected',
    [
        ([], [], ['backbone', 'neck.0', 'neck.1']),
        (['backbone', 'head'], [], ['backbone', 'neck.0', 'neck.1']),
        (['backbone.0'], [], ['backbone.0', 'backbone.1', 'neck.0', 'neck.1']),
        (['backbone.0.1'], ['neck.1'], ['backbone.1', 'neck.0']),
        (['backbonet.0'], ['backbone'], ['neck.0', 'neck.1']),
    ],
)
def test_the_outermost_parts_without_a_record_inside(
    teacher, recorded, left_out, expected
):
    options = dict(backend='eager')
    assert compile_parts(teacher, recorded, left_out, options) == expected


def test_it_computes_the_same_and_its_hooks_are_called(teacher):
    graphs, seen = [], []
    x = torch.randn(3, 4)
    expected = teacher.backbone(x)
    teacher.backbone.register_forward_hook(lambda *_: seen.append(1))

    def compiler(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compile_parts(teacher, ['backbone'], [], dict(backend=compiler))
    with torch.no_grad():
        assert isinstance(teacher.backbone(stand_in(x)), StandIn)
        assert not graphs
        torch.testing.assert_close(teacher.backbone(x), expected.detach())
    assert len(graphs) == 1 and len(seen) == 2
