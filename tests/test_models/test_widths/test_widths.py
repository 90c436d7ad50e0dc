# Copyright (c) mmdiffkd contributors.
"""What a config leaves out is read from the two models."""

import copy
import random

import numpy as np
import pytest
import torch
from helpers import task_toys, toys, two_stage_toys
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmdiffkd.models.widths import complete
from mmdiffkd.models.widths.layout import layout_of
from mmdiffkd.models.widths.probe import Shape, probe
from mmdiffkd.utils import UserError

DIFFKD = dict(type='mmdiffkd.DiffKDConnector')
L2 = dict(type='mmrazor.L2Loss', normalize=False, div_element=True)


def pairs(**pair):
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(kd={'connector': dict(DIFFKD), 'loss': L2, **pair}),
    )


def model(cfg, scope=None):
    scope = scope or cfg['type'].split('.')[0]
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(copy.deepcopy(cfg))


def vit(arch, img_size=32, patch_size=8, **backbone):
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(
                embed_dims=arch,
                num_layers=2,
                num_heads=2,
                feedforward_channels=arch,
            ),
            img_size=img_size,
            patch_size=patch_size,
            **backbone,
        ),
        head=dict(
            type='mmpretrain.VisionTransformerClsHead',
            num_classes=3,
            in_channels=arch,
        ),
    )


def resnet(out_indices=(3,)):
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmpretrain.ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            out_indices=out_indices,
        ),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead', num_classes=3, in_channels=64
        ),
    )


def without_widths(distiller):
    distiller = copy.deepcopy(distiller)
    for connector in distiller['connectors'].values():
        del connector['student_channels'], connector['teacher_channels']
    return distiller


def trained(cfg, steps=3):
    """Losses of some iterations, and the weights before and after."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    algorithm = toys.build(cfg)
    algorithm.init_weights()
    algorithm.train()
    before = copy.deepcopy(algorithm.state_dict())
    optimizer = torch.optim.SGD(algorithm.parameters(), lr=1e-3)
    losses = []
    for seed in range(steps):
        data = algorithm.data_preprocessor(toys.batch(seed=seed), True)
        total, log = algorithm.parse_losses(algorithm(**data, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append({k: v.detach().item() for k, v in log.items()})
    draws = torch.rand(1), random.random(), np.random.rand()
    return before, losses, algorithm.state_dict(), draws


def assert_same_weights(one, other):
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize('short', [False, True])
def test_widths_left_out_train_as_explicit_ones_to_the_bit(short):
    explicit = toys.algorithm()
    left_out = copy.deepcopy(explicit)
    left_out['distiller'] = (
        pairs(source='neck', connector_name='diff')
        if short
        else without_widths(explicit['distiller'])
    )
    one, other = trained(explicit), trained(left_out)
    assert_same_weights(one[0], other[0])
    assert one[1] == other[1]
    assert_same_weights(one[2], other[2])
    assert one[3] == other[3]


def test_what_was_found_stands_in_the_log_and_builds_the_same(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmdiffkd.models.widths.completion.print_log',
        lambda line, *_: lines.append(line),
    )
    cfg = Config(toys.algorithm(distiller=pairs(source='neck')))
    first = toys.build(cfg._cfg_dict)
    log = '\n'.join(lines)
    assert 'student_channels=16, teacher_channels=24' in log
    assert "levels=['p3', 'p4', 'p5']" in log
    cfg.merge_from_dict({'distiller': first.found_in_models})
    again = toys.build(cfg._cfg_dict)
    assert again.found_in_models == {}
    assert list(first.state_dict()) == list(again.state_dict())


def said(hub):
    """All that a hub holds, in words; others may have told it something."""
    scalars = {k: list(v.data[0]) for k, v in hub.log_scalars.items()}
    return repr((scalars, hub.runtime_info))


def test_models_are_left_as_they_are():
    student = model(toys.detector())
    teacher = model(toys.detector(width=12, channels=24, dropout=True))
    student.train()
    student.backbone.eval()
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 7)
    told = said(hub)
    states = [
        (
            copy.deepcopy(m.state_dict()),
            [x.training for x in m.modules()],
            [len(x._forward_hooks) for x in m.modules()],
            [sorted(vars(x)) for x in m.modules()],
        )
        for m in (student, teacher)
    ]
    draw = torch.get_rng_state()
    _, found = complete(pairs(source='neck'), student, teacher)
    assert found
    assert torch.equal(draw, torch.get_rng_state())
    assert hub is MessageHub.get_current_instance()
    assert said(hub) == told
    for m, (weights, modes, hooks, names) in zip((student, teacher), states):
        assert_same_weights(weights, m.state_dict())
        assert modes == [x.training for x in m.modules()]
        assert hooks == [len(x._forward_hooks) for x in m.modules()]
        assert names == [sorted(vars(x)) for x in m.modules()]


class Counting(nn.Module):
    """Counts its calls in an attribute, in a buffer and in the hub."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.calls = 0
        self.register_buffer('seen', torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.calls += 1
        self.seen += 1
        MessageHub.get_current_instance().update_info('calls', self.calls)
        return self.conv(inputs) + torch.rand(()).item()


def test_counters_and_buffers_of_a_model_do_not_count_the_dummy_image():
    counting = Counting()
    state = torch.get_rng_state()
    seen = probe(counting)
    assert seen.outputs['conv'] == [Shape((1, 4, 128, 128))]
    assert counting.calls == 0 and counting.seen == 0
    assert MessageHub.get_current_instance().get_info('calls') is None
    assert torch.equal(state, torch.get_rng_state())


def test_only_what_is_recorded_is_run():
    cfg = toys.detector()
    student = model(cfg)
    student.bbox_head.forward = None  # cannot be called
    _, found = complete(
        pairs(source='neck'), student, model(toys.detector(channels=8))
    )
    assert found['pairs']['kd']['levels'] == ['p3', 'p4', 'p5']
    assert found['connectors']['kd_p4'] == dict(
        student_channels=16, teacher_channels=8
    )


def two_pyramids(student_start, teacher_start):
    cfgs = []
    for start in (student_start, teacher_start):
        cfg = toys.detector()
        cfg['neck'].update(start_level=start, num_outs=5)
        cfg['bbox_head']['anchor_generator']['strides'] = [
            2 ** (start + 2 + i) for i in range(5)
        ]
        cfgs.append(model(cfg))
    return cfgs


@pytest.mark.parametrize(
    'levels', [None, ['p3', 'p4', 'p5', 'p6', 'p7']], ids=['none', 'named']
)
@pytest.mark.parametrize('starts', [(1, 0), (0, 1)])
def test_levels_are_paired_by_stride(starts, levels):
    pair = pairs(source='neck', **({'levels': levels} if levels else {}))
    student, teacher = two_pyramids(*starts)
    whole, found = complete(pair, student, teacher)
    assert found['pairs']['kd']['levels'] == ['p3', 'p4', 'p5', 'p6']
    built = model(whole, 'mmrazor')
    records = built.connector_forward_mappings['kd_p3']
    at = {r['from_student']: r['data_idx'] for r in records.values()}
    assert at == {True: 1 - starts[0], False: 1 - starts[1]}


def test_calls_of_a_shared_head_are_levels():
    _, found = complete(
        pairs(source='bbox_head.retina_reg', connector=None),
        model(toys.detector()),
        model(toys.detector(channels=8)),
    )
    assert found['pairs']['kd']['levels'] == ['p3', 'p4', 'p5']
    assert found['pairs']['kd']['student']['index'] == 'record_idx'


def test_no_common_stride_pairs_the_last_outputs():
    _, found = complete(
        pairs(source='backbone'), model(resnet((2, 3))), model(resnet((0, 1)))
    )
    assert found['pairs']['kd'] == dict(
        student=dict(data_idx=-1), teacher=dict(data_idx=-1)
    )


def test_class_tokens_are_counted_on_each_side():
    distilled = vit(24)
    distilled['backbone']['type'] = 'mmpretrain.DistilledVisionTransformer'
    distilled['head']['type'] = 'mmpretrain.DeiTClsHead'
    student, teacher = model(vit(16)), model(distilled)
    whole, found = complete(pairs(source='backbone.ln1'), student, teacher)
    assert found['connectors']['kd'] == dict(
        student_channels=16,
        teacher_channels=24,
        token_shape=(4, 4),
        num_class_tokens=(1, 2),
    )
    connector = model(whole, 'mmrazor').connectors['kd']
    out = connector(torch.randn(2, 17, 16), torch.randn(2, 18, 24))
    assert out.student.shape == out.teacher.shape == (2, 24, 4, 4)


def test_a_student_of_any_size_decides_how_many_tokens_there_are():
    # The teacher is made for 32 pixels; the student's data may be of others.
    distiller = pairs(
        student=dict(source='backbone', data_idx=0),
        teacher=dict(source='backbone.ln1'),
    )
    student, teacher = model(resnet()), model(vit(16))
    whole, found = complete(distiller, student, teacher)
    assert found['connectors']['kd']['token_shape'] == 'square'
    connector = model(whole, 'mmrazor').connectors['kd']
    for size in (32, 64):
        image = torch.randn(2, 3, size, size)
        tokens = torch.randn(2, 1 + (size // 8) ** 2, 16)
        out = connector(student.backbone(image)[0], tokens)
        assert out.student.shape == (2, 16, size // 8, size // 8)


def test_tokens_of_two_grids_are_resized_upwards():
    student, teacher = model(vit(16, patch_size=16)), model(vit(16))
    whole, found = complete(pairs(source='backbone.ln1'), student, teacher)
    values = found['connectors']['kd']
    assert values['token_shape'] == ((2, 2), (4, 4))
    assert values['resize'] == 'bilinear'
    connector = model(whole, 'mmrazor').connectors['kd']
    out = connector(torch.randn(2, 5, 16), torch.randn(2, 17, 16))
    assert out.student.shape == (2, 16, 4, 4)


def test_a_layout_left_out_beside_explicit_widths_is_found():
    widths = dict(student_channels=16, teacher_channels=16)
    _, found = complete(
        pairs(source='backbone.ln1', connector=dict(DIFFKD, **widths)),
        model(vit(16)),
        model(vit(16)),
    )
    assert found['connectors']['kd'] == dict(
        token_shape=(4, 4), num_class_tokens=1
    )


def test_explicit_numbers_are_not_replaced():
    distiller = pairs(
        source='neck', connector=dict(DIFFKD, student_channels=99)
    )
    _, found = complete(
        distiller, model(toys.detector()), model(toys.detector())
    )
    assert found['connectors']['kd_p3'] == dict(teacher_channels=16)


def test_a_connector_of_mmrazor_gets_its_widths():
    connector = dict(type='ConvModuleConnector')
    _, found = complete(
        pairs(source='neck', connector=connector),
        model(toys.detector()),
        model(toys.detector(channels=24)),
    )
    assert found['connectors']['kd_p3'] == dict(in_channel=16, out_channel=24)


@pytest.mark.parametrize('outputs', ['a', 'map and vector'])
def test_features_that_do_not_fit_are_shown_side_by_side(outputs):
    student, teacher = model(resnet((2, 3))), model(resnet())
    if outputs == 'a':  # a larger map of the student's
        pair = pairs(source='backbone', student=dict(data_idx=0))
        pair['pairs']['kd']['teacher'] = dict(data_idx=0)
        why = 'larger than the teacher'
    else:
        pair = pairs(student=dict(source='backbone', data_idx=0))
        pair['pairs']['kd']['teacher'] = dict(source='neck', data_idx=0)
        why = 'a map and the teacher a vector'
    with pytest.raises(UserError, match=why) as error:
        complete(pair, student, teacher)
    text = str(error.value)
    assert "connector 'kd'" in text
    assert 'backbone data_idx 1: (1, 64, 8, 8) stride 32' in text
    assert 'student, image 256 x 256' in text


def test_sources_that_do_not_exist_are_told_with_the_closest():
    with pytest.raises(UserError, match="'nec'.*closest are 'neck'"):
        complete(
            pairs(source='nec', data_idx=0),
            model(toys.detector()),
            model(toys.detector()),
        )


def test_modules_that_are_never_called_are_told():
    with pytest.raises(
        UserError, match="does not call \\['bbox_head.loss_cls"
    ):
        complete(
            pairs(source='bbox_head.loss_cls', data_idx=0),
            model(toys.detector()),
            model(toys.detector()),
        )


def test_other_algorithms_say_that_numbers_are_needed():
    distiller = without_widths(toys.distiller())
    with pytest.raises(UserError) as error:
        model(distiller, 'mmrazor')
    assert 'connectors.diff_p3: student_channels' in str(error.value)
    assert 'mmdiffkd.FrozenTeacherDistill' in str(error.value)


@pytest.mark.parametrize('task', ['det', 'seg', 'cls'])
def test_all_tasks(task):
    cfg = task_toys.algorithm(task)
    explicit = copy.deepcopy(cfg['distiller']['connectors'])
    cfg['distiller'] = without_widths(cfg['distiller'])
    algorithm = task_toys.build(task, cfg)
    for name, values in algorithm.found_in_models['connectors'].items():
        for key in ('student_channels', 'teacher_channels'):
            assert values[key] == explicit[name][key]
    losses = algorithm.train()(
        **algorithm.data_preprocessor(task_toys.batch(task), True), mode='loss'
    )
    assert any('loss_kd' in name for name in losses)


def test_auxiliary_heads_of_segmentors_are_seen():
    cfg = task_toys.student('seg')
    cfg['auxiliary_head'] = copy.deepcopy(cfg['decode_head'])
    student = model(cfg, 'mmseg')
    _, found = complete(
        pairs(source='auxiliary_head.conv_seg'), student, student
    )
    assert found['connectors']['kd'] == dict(
        student_channels=3, teacher_channels=3
    )


@pytest.mark.parametrize(
    'dims, image, expected',
    [
        ((1, 8, 32, 32), 256, ('map', 8, (32, 32), 0, 8)),
        ((1, 197, 12), 224, ('tokens', 12, (14, 14), 1, 16)),
        ((1, 198, 12), 224, ('tokens', 12, (14, 14), 2, 16)),
        ((1, 196, 12), 224, ('tokens', 12, (14, 14), 0, 16)),
        # 32 * 32 + 16 * 16 + 8 * 8 + 4 * 4
        ((1, 1360, 256), 256, ('sequence', 256, (1360, 1), 0, 0)),
        ((5, 7), 64, ('vector', 7, (1, 1), 0, 0)),
        ((7,), 64, None),
        ((1, 2, 3, 4, 5), 64, None),
    ],
)
def test_layouts(dims, image, expected):
    found = layout_of(Shape(dims), image)
    assert (found and tuple(found)) == expected


def test_a_size_that_a_model_names_is_taken():
    seen = probe(model(vit(16, img_size=48, patch_size=16)))
    assert (seen.size, seen.fixed, seen.error) == (48, True, '')


def test_features_without_a_fixed_grid_are_sequences():
    """An encoder of tokens whose number changes with the image."""
    from mmdiffkd.diffusion import FeatureDiffusion

    module = FeatureDiffusion(
        4, 6, token_shape='sequence', denoiser=dict(type='MLPDenoiser')
    )
    for length in (5, 9):
        out = module(torch.randn(2, length, 4), torch.randn(2, length, 6))
        assert out.student.shape == (2, 6, length, 1)


def test_numbers_written_by_hand_need_no_dummy_image():
    """The remedy for modules that are called in training alone."""
    student = model(toys.detector())
    student.late = torch.nn.Conv2d(16, 16, 1)
    teacher = copy.deepcopy(student)
    cfg = pairs(source='late')
    cfg['pairs']['kd'].pop('data_idx', None)
    with pytest.raises(UserError, match='yourself'):
        complete(cfg, student, teacher)
    cfg['pairs']['kd']['connector'].update(
        student_channels=16, teacher_channels=16
    )
    _, found = complete(cfg, student, teacher)
    assert 'connectors' not in found or not found['connectors']


def test_numbers_written_by_hand_for_other_kinds_of_records():
    cfg = pairs(
        source='neck.fpn_convs.0.conv.weight',
        recorder_type='Parameter',
        data_idx=None,
    )
    parts = [model(toys.detector()) for _ in range(2)]
    with pytest.raises(
        UserError, match='write student_channels and teacher_channels'
    ):
        complete(cfg, *parts)
    cfg['pairs']['kd']['connector'].update(
        student_channels=16, teacher_channels=16
    )
    complete(cfg, *parts)


def test_two_stages_see_few_rois_and_keep_their_settings():
    """A mask head on a thousand RoIs would take a minute."""
    detector = toys.build(two_stage_toys.faster_rcnn())
    before = copy.deepcopy(detector.rpn_head.test_cfg)
    seen = probe(detector)
    (rois,) = seen.outputs['roi_head.bbox_head.fc_cls']
    assert 0 < rois.dims[0] <= 8
    assert detector.rpn_head.test_cfg == before


STOCK = [
    'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py',
    'mmpretrain::mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py',
]


@pytest.mark.parametrize('name', STOCK)
def test_shapes_without_values_are_those_of_a_real_pass(name, monkeypatch):
    from mmdiffkd.models.widths import probe as module
    from mmdiffkd.pairing.model import _build
    from mmdiffkd.pairing.named import read_named

    net, _ = _build(read_named(name, 'student'))
    without = probe(net)
    monkeypatch.setattr(module, 'stand_in', lambda image: image)
    assert without == probe(net)
    assert without.outputs and not without.error


def test_shapes_need_no_values():
    """What large teachers cost at each start."""
    computed = []

    class Layer(nn.Conv2d):
        def forward(self, x):
            computed.append(getattr(x, 'has_values', True))
            return super().forward(x)

    class Reads(Layer):
        def forward(self, x):
            return super().forward(x) * float(x.sum())

    class Swallows(Reads):
        def forward(self, x):
            try:
                return super().forward(x)
            except RuntimeError:
                return x.new_zeros(1, 2, 1, 1)

    class Net(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, image, samples, mode):
            return self.layer(image)

    for kind, passes in ((Layer, [False]), (Reads, [False, True])):
        computed.clear()
        assert probe(Net(kind(3, 4, 1))).outputs['layer'] == [
            Shape((1, 4, 256, 256))
        ]
        assert computed == passes
    seen = probe(Net(Swallows(3, 4, 1)))
    assert seen.outputs['layer'] == [Shape((1, 4, 256, 256))]


def test_each_model_is_looked_at_once(monkeypatch):
    """For levels and widths, and for whoever has looked already."""
    from mmdiffkd.models.widths import records
    from mmdiffkd.models.widths.completion import look_up

    looked_at = []

    def counted(net, *args):
        looked_at.append(net)
        return probe(net, *args)

    monkeypatch.setattr(records, 'probe', counted)
    student, teacher = model(toys.detector()), model(toys.detector())
    cfg = pairs(source='neck')
    cfg['pairs']['kd'].pop('data_idx', None)
    whole, _ = complete(cfg, student, teacher)
    assert looked_at == [student, teacher]
    looked_at.clear()
    seen = probe(student), probe(teacher)
    known = records.BothModels(student, teacher, seen)
    assert look_up(cfg, known)[0] == whole
    assert not looked_at
    early = tuple(probe(net, {'backbone': 1}) for net in (student, teacher))
    known = records.BothModels(student, teacher, early)
    assert look_up(cfg, known)[0] == whole
    assert looked_at == [student, teacher]
