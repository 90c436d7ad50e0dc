# Copyright (c) mmdiffkd contributors.
"""What fits is loaded, and what does not is told."""

import copy
import functools

import torch
from torch import nn

from mmdiffkd.utils.checkpoints.weights import load_fitting


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def state(module):
    return copy.deepcopy(module.state_dict())


def test_all_that_fits_is_loaded_and_nothing_told():
    source, target = network(), network()
    assert load_fitting(target, state(source)) == ([], [])
    assert torch.equal(target[0].weight, source[0].weight)


def test_counters_of_batch_norms_may_be_missing():
    weights = state(network())
    weights.pop('1.num_batches_tracked')
    assert load_fitting(network(), weights) == ([], [])


def test_other_keys_are_ignored():
    weights = dict(state(network()), optimizer=torch.zeros(1))
    assert load_fitting(network(), weights) == ([], [])


def test_what_is_missing_keeps_its_value():
    weights, target = state(network()), network()
    weights.pop('0.weight')
    before = target[0].weight.detach().clone()
    assert load_fitting(target, weights) == (['0.weight'], [])
    assert torch.equal(target[0].weight, before)
    assert torch.equal(target[0].bias, weights['0.bias'])


def test_shapes_are_told_from_both_sides():
    weights = state(network())
    weights['0.weight'] = torch.zeros(4, 5, 1, 1)
    weights.pop('1.bias')
    assert load_fitting(network(), weights) == (
        ['1.bias'],
        [
            '0.weight: (4, 5, 1, 1) in the file, (4, 3, 1, 1) in the model',
        ],
    )


def test_a_module_reads_an_older_release_its_own_way():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + 'weight'] = state_dict.pop(prefix + 'kernel')
            super()._load_from_state_dict(state_dict, prefix, *args)

    weights = dict(kernel=torch.ones(2, 3), bias=torch.zeros(2))
    target = Renamed(3, 2)
    assert load_fitting(target, weights) == ([], [])
    assert (target.weight == 1).all()


def test_tables_that_a_module_computes_anew_are_not_missing():
    """Swin Transformer V2 drops them from any checkpoint."""
    from mmpretrain.models import SwinTransformerV2

    arch = dict(
        embed_dims=8, depths=[1], num_heads=[2], extra_norm_every_n_blocks=0
    )
    build = functools.partial(
        SwinTransformerV2, arch, img_size=32, window_size=[4], out_indices=(0,)
    )
    weights = state(build())
    tables = [key for key in weights if 'relative_coords_table' in key]
    assert len(tables) == 1
    assert load_fitting(build(), weights) == ([], [])
    weights.pop(tables[0])
    assert load_fitting(build(), weights) == (tables, [])
