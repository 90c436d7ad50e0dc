# Copyright (c) mmdiffkd contributors.
"""What the guide says can be distilled of the DETR kinds."""

import copy

import pytest
import torch
from helpers import toys
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper


def small(name):
    """A stock config, narrow and with one layer each."""
    model = get_config(f'mmdet::{name}').model
    model.backbone.update(depth=18, init_cfg=None)
    widths = [64, 128, 256, 512]
    levels = model.backbone.out_indices
    model.neck.in_channels = [widths[i] for i in levels]
    model.num_queries = 5
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
    model.bbox_head.num_classes = 3
    return model


def distilled(model, source, **connector):
    pair = dict(
        source=source,
        connector=dict(type='mmdiffkd.DiffKDConnector', **connector),
        connector_name='diff',
        loss=dict(type='mmrazor.L2Loss', normalize=False, div_element=True),
    )
    return toys.build(
        dict(
            type='mmdiffkd.FrozenTeacherDistill',
            architecture=model,
            teacher=copy.deepcopy(model),
            allow_random_teacher=True,
            calculate_student_loss=False,  # whatever moves, distillation moves
            student_trainable=True,
            distiller=dict(
                _scope_='mmrazor',
                type='mmdiffkd.DiffKDDistiller',
                pairs=dict(kd=pair),
            ),
        )
    )


@pytest.mark.parametrize(
    'name',
    [
        'detr/detr_r50_8xb2-150e_coco.py',
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    ],
)
@pytest.mark.parametrize(
    'source, options',
    [
        ('neck', {}),
        (
            'encoder',
            dict(
                token_shape='sequence',
                denoiser=dict(type='MLPDenoiser'),
            ),
        ),
    ],
)
def test_neck_and_memory_of_the_encoder_are_distilled(name, source, options):
    model = distilled(small(name), source, **options)
    model.init_weights()
    model.teacher.init_weights()  # or parts of it are whatever memory held
    model.train()
    weight = model.student.neck.convs[0].conv.weight
    before = weight.detach().clone()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), 1e-2))
    log = model.train_step(toys.batch(), optimizer)
    distances = [v for k, v in log.items() if k.startswith('distill.loss_kd')]
    assert distances and all(torch.isfinite(v) for v in distances)
    assert not torch.equal(weight, before)
