# Copyright (c) mmdiffkd contributors.
"""A second model of a class leaves the first as it was built."""

from mmpretrain.models import HiViT
from torch import nn

from mmdiffkd.models.algorithms.own_defaults import own_defaults


def hivit(blocks):
    return HiViT(
        arch=dict(embed_dims=8, depths=[1, 1, blocks], num_heads=1),
        img_size=32,
        patch_size=16,
        inner_patches=4,
    )


def test_a_hivit_keeps_its_depth_beside_a_deeper_one():
    """Its constructor writes the depth into a list that all would share."""
    first = own_defaults(hivit(2))
    hivit(3)
    assert first.out_indices == [1]


class Keeps(nn.Module):
    def __init__(self, given, own=[], table={}):  # noqa: B006
        super().__init__()
        self.given, self.own, self.table = given, own, table


def test_only_defaults_are_copied():
    shared = [1]
    one, other = Keeps(shared), Keeps(shared)
    own_defaults(nn.Sequential(one))
    assert one.given is other.given is shared
    one.own.append(2)
    one.table['a'] = 2
    assert other.own == [] and other.table == {}
