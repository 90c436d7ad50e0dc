# Copyright (c) mmdiffkd contributors.
import copy

import pytest
import torch
from helpers import toys
from mmrazor.models.losses import ChannelWiseDivergence
from torch import nn

from mmdiffkd.diffusion import FeatureDiffusion, PairedOutput
from mmdiffkd.models import PairedConnector
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError


@MODELS.register_module(force=True)
class CountingConnector(PairedConnector):
    """Adds one to the student and counts its calls."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 24, 1)
        self.calls = 0

    def forward_train(self, s_feature, t_feature):
        self.calls += 1
        return PairedOutput(
            self.conv(s_feature),
            t_feature + self.calls,
            dict(loss_own=s_feature.mean()),
            dict(calls=torch.tensor(1.0)),
        )


def two_losses_on_one_connector():
    cfg = toys.distiller(levels=1)
    cfg['connectors'] = dict(diff_p3=dict(type='mmdiffkd.CountingConnector'))
    cfg['distill_losses']['loss_second'] = dict(
        type='mmrazor.L1Loss', loss_weight=2.0
    )
    cfg['loss_forward_mappings']['loss_second'] = copy.deepcopy(
        cfg['loss_forward_mappings']['loss_kd_p3']
    )
    return cfg


def test_a_paired_connector_runs_once_for_any_number_of_losses():
    model = toys.build(toys.algorithm(distiller=two_losses_on_one_connector()))
    result = toys.losses(model)
    connector = model.distiller.connectors.diff_p3
    assert connector.calls == 1
    assert {
        'distill.loss_kd_p3',
        'distill.loss_second',
        'distill.diff_p3.loss_own',
        'distill.diff_p3.calls',
    } <= set(result)


def test_from_student_selects_the_side():
    model = toys.build(toys.algorithm(distiller=two_losses_on_one_connector()))
    pair = PairedOutput(torch.zeros(1), torch.ones(1))
    model.distiller._paired = dict(diff_p3=pair)
    get = model.distiller.get_record
    assert get('fpn', True, connector='diff_p3') is pair.student
    assert get('fpn', False, connector='diff_p3') is pair.teacher


@pytest.mark.parametrize(
    'algorithm', ['mmrazor.SingleTeacherDistill', 'mmrazor.FpnTeacherDistill']
)
def test_it_works_under_mmrazors_own_algorithms(algorithm):
    cfg = toys.algorithm(type=algorithm)
    cfg.pop('allow_random_teacher')
    model = toys.build(cfg)
    total, log = model.parse_losses(toys.losses(model))
    total.backward()
    assert 'distill.diff_p5.loss_diff' in log


def test_stock_connectors_feed_paired_ones():
    cfg = toys.distiller(student_channels=24, levels=1)
    cfg['connectors']['widen'] = dict(
        type='TorchNNConnector',
        module_name='Conv2d',
        module_args=dict(in_channels=16, out_channels=24, kernel_size=1),
    )
    cfg['connector_forward_mappings']['diff_p3']['s_feature']['connector'] = (
        'widen'
    )
    model = toys.build(toys.algorithm(distiller=cfg))
    total, _ = model.parse_losses(toys.losses(model))
    total.backward()
    assert model.distiller.connectors.widen.func.weight.grad is not None


def change(path, value):
    """A distiller config with one leaf changed (or removed, for None)."""
    cfg = toys.distiller(levels=2)
    *parents, leaf = path.split('/')
    node = cfg
    for name in parents:
        node = node[name]
    if value is None:
        node.pop(leaf)
    else:
        node[leaf] = value
    return cfg


STUDENT = dict(recorder='fpn', from_student=True, data_idx=0)


@pytest.mark.parametrize(
    'path, value, message',
    [
        (
            'student_recorders/fpn',
            dict(type='ModuleOutputs', source='nek'),
            "student_recorders.fpn: source 'nek' is not a module of the "
            "student RetinaNet; the closest are 'neck'",
        ),
        (
            'teacher_recorders/fpn',
            dict(type='ModuleOutputs', source='neck.fpn_conv.0'),
            "teacher_recorders.fpn: source 'neck.fpn_conv.0' .*"
            "'neck.fpn_convs.0'",
        ),
        (
            'connectors/extra',
            dict(type='mmdiffkd.CountingConnector'),
            r"connectors \['extra'\] are never used",
        ),
        (
            'distill_losses/loss_extra',
            dict(type='mmrazor.L1Loss'),
            r"distill_losses \['loss_extra'\] are never used",
        ),
        (
            'connector_forward_mappings/diff_p3/s_feature/recorder',
            'fnp',
            "names the recorder 'fnp', which is not in student_recorders "
            r"\['fpn'\]",
        ),
        (
            'connector_forward_mappings/diff_p3/s_feature/data_id',
            0,
            "unknown key 'data_id'; the closest are 'data_idx'",
        ),
        (
            'connector_forward_mappings/diff_p3/s_feature/from_student',
            'yes',
            "needs from_student=True or False, got 'yes'",
        ),
        (
            'connector_forward_mappings/diff_p3/student',
            STUDENT,
            r"unknown \['student'\]",
        ),
        (
            'connector_forward_mappings/diff_p3/t_feature',
            None,
            r"missing \['t_feature'\]",
        ),
        (
            'connector_forward_mappings/diff_p9',
            dict(s_feature=STUDENT),
            "there is no such connector .*the closest are 'diff_p",
        ),
        (
            'loss_forward_mappings/loss_kd_p3/t_feature',
            None,
            r"missing \['t_feature'\]",
        ),
        (
            'loss_forward_mappings/loss_kd_p3/s_feature/connector',
            'dif_p3',
            "the connector 'dif_p3'.*diff_p3",
        ),
        ('connector_forward_mappings', ['diff_p3'], 'should be a dict'),
    ],
)
def test_a_wrong_mapping_is_an_error_at_build(path, value, message):
    with pytest.raises((UserError, AssertionError), match=message):
        toys.build(toys.algorithm(distiller=change(path, value)))


def test_loss_in_a_connectors_name_is_an_error():
    cfg = toys.distiller(levels=1)
    for key in ('connectors', 'connector_forward_mappings'):
        cfg[key]['loss_p3'] = cfg[key].pop('diff_p3')
    for record in cfg['loss_forward_mappings']['loss_kd_p3'].values():
        record['connector'] = 'loss_p3'
    with pytest.raises(UserError, match="'loss_p3'.*rename it"):
        toys.build(toys.algorithm(distiller=cfg))


@pytest.mark.parametrize(
    'student_channels, teacher_channels, message',
    [
        (
            32,
            24,
            "connector 'diff_p3': the student feature has 16 channels.*"
            'set student_channels=16',
        ),
        (
            16,
            16,
            "connector 'diff_p3': the teacher feature has 24 channels.*"
            'set teacher_channels=24',
        ),
    ],
)
def test_wrong_channels_name_the_connector(
    student_channels, teacher_channels, message
):
    model = toys.build(
        toys.algorithm(
            distiller=toys.distiller(student_channels, teacher_channels)
        )
    )
    with pytest.raises(UserError, match=message):
        toys.losses(model)


def test_wrong_sizes_name_the_connector():
    cfg = toys.distiller(levels=2)
    cfg['connector_forward_mappings']['diff_p4']['t_feature']['data_idx'] = 0
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(
        UserError,
        match=r"connector 'diff_p4': student .*"
        r"differ in height or width.*resize='bilinear'",
    ):
        toys.losses(model)


def test_a_level_that_does_not_exist_is_named():
    cfg = toys.distiller(levels=1)
    cfg['connector_forward_mappings']['diff_p3']['s_feature']['data_idx'] = 7
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(
        UserError,
        match="student recorder 'fpn'.*recorded 3 elements, but data_idx=7",
    ):
        toys.losses(model)


def test_a_recorder_that_never_fires_is_named():
    cfg = toys.distiller(levels=1)
    cfg['student_recorders'] = dict(
        fpn=dict(type='ModuleOutputs', source='bbox_head.cls_convs')
    )
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(
        UserError, match="'bbox_head.cls_convs'.*holds 0 records"
    ):
        toys.losses(model)


def test_the_log_says_once_what_loss_diff_means(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmdiffkd.models.distillers.diffkd_distiller.print_log',
        lambda message, logger: said.append(message),
    )
    model = toys.build(toys.algorithm())
    toys.losses(model)
    toys.losses(model)
    assert len(said) == 1 and 'loss_diff = 1.0 means' in said[0]


def test_a_misspelt_option_of_a_connector_is_named():
    with pytest.raises(
        UserError,
        match='DiffKDConnector does not take '
        "'latent_chanels'; the closest are 'latent_channels'",
    ):
        toys.build(toys.algorithm(distiller=toys.distiller(latent_chanels=8)))


def test_an_unknown_recipe_is_named():
    with pytest.raises(UserError, match="recipe 'relaesed' is unknown"):
        toys.build(toys.algorithm(distiller=toys.distiller(recipe='relaesed')))


@MODELS.register_module(force=True)
class LoudDiffusion(FeatureDiffusion):
    """A composition of one's own."""

    def project(self, student):
        return 2 * super().project(student)


@MODELS.register_module(force=True)
class HalfScale(nn.Module):
    """A scale of one's own."""

    def forward(self, feature):
        return feature.new_tensor(0.5)


def test_the_composing_module_and_the_scale_can_be_replaced():
    cfg = toys.algorithm(
        distiller=toys.distiller(
            core='mmdiffkd.LoudDiffusion',
            recipe='tuned',
            normalize=dict(type='mmdiffkd.HalfScale'),
        )
    )
    model = toys.build(cfg)
    for connector in model.distiller.connectors.values():
        assert type(connector.diffusion) is LoudDiffusion
    assert toys.losses(model)['distill.diff_p3.feature_scale'] == 0.5


@pytest.mark.parametrize('core', ['FaetureDiffusion', 'NoiseSchedule', 5])
def test_a_core_that_is_none_is_refused(core):
    with pytest.raises(UserError, match='core'):
        toys.build(toys.algorithm(distiller=toys.distiller(core=core)))


def mimic(in_channels=16, out_channels=24):
    """Plain mimicking of one level."""
    cfg = toys.distiller(levels=1)
    cfg['connectors'] = dict(
        align=dict(
            type='TorchNNConnector',
            module_name='Conv2d',
            module_args=dict(
                in_channels=in_channels,
                out_channels=out_channels,
                kernel_size=1,
            ),
        )
    )
    del cfg['connector_forward_mappings']
    sides = cfg['loss_forward_mappings']['loss_kd_p3']
    sides['s_feature'].update(connector='align', data_idx=0)
    sides['t_feature'].update(connector=None, data_idx=0)
    return cfg


def test_plain_mimicking_works():
    log = toys.losses(toys.build(toys.algorithm(distiller=mimic())))
    assert log['distill.loss_kd_p3'].isfinite()


def test_wrong_channels_of_a_plain_connector_are_told():
    model = toys.build(toys.algorithm(distiller=mimic(in_channels=8)))
    with pytest.raises(
        UserError,
        match=r"connector 'align' fails on the "
        r'student feature \(2, 16, .*8 channels',
    ):
        toys.losses(model)


@pytest.mark.parametrize('kind', ['L1Loss', 'L2Loss'])
@pytest.mark.parametrize('channels', [1, 8])  # PyTorch broadcasts 1
def test_elementwise_losses_do_not_broadcast(kind, channels):
    cfg = mimic(out_channels=channels)
    options = dict(normalize=False) if kind == 'L2Loss' else {}
    cfg['distill_losses']['loss_kd_p3'] = dict(
        type=f'mmrazor.{kind}', **options
    )
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(
        UserError,
        match=rf"'loss_kd_p3': {kind} compares .*"
        rf's_feature \(2, {channels}, .*t_feature \(2, 24, ',
    ):
        toys.losses(model)


RESIDUAL = 'backbone.layer4.1'


def the_same_network_twice(**sources):
    """Losses of records of a student, and of a teacher that equals it."""
    loss = dict(type='mmrazor.L2Loss', normalize=False, div_element=True)
    net = toys.detector()
    net['backbone'].update(norm_eval=True, zero_init_residual=False)
    cfg = toys.algorithm(
        architecture=net,
        teacher=net,
        distiller=dict(
            _scope_='mmrazor',
            type='mmdiffkd.DiffKDDistiller',
            pairs={
                name: dict(source=source, data_idx=element, loss=loss)
                for name, (source, element) in sources.items()
            },
        ),
    )
    model = toys.build(cfg)
    model.teacher.load_state_dict(model.student.state_dict())
    found = toys.losses(model)
    return [float(found[f'distill.loss_{name}']) for name in sources]


def test_a_record_that_the_model_overwrites_is_refused():
    """The residual block adds its input to the norm's output in place."""
    for others in ({}, dict(fpn=('neck', 0))):
        with pytest.raises(
            UserError,
            match=f"student recorder.*'{RESIDUAL}.bn2' is overwritten",
        ):
            the_same_network_twice(bn=(f'{RESIDUAL}.bn2', None), **others)


def test_records_in_and_behind_a_residual_block_are_what_was_recorded():
    assert (
        the_same_network_twice(
            conv=(f'{RESIDUAL}.conv2', None),
            norm=(f'{RESIDUAL}.bn1', None),
            block=(RESIDUAL, None),
            fpn=('neck', 0),
        )
        == [0.0] * 4
    )


def test_an_overwritten_record_of_the_teacher_is_refused():
    """Its pass goes on to the neck, and so to the addition."""
    loss = dict(type='mmrazor.L2Loss', normalize=False, div_element=True)
    width = toys.detector(width=12, channels=24)
    cfg = dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            bn=dict(
                student=dict(source=RESIDUAL),
                teacher=dict(source=f'{RESIDUAL}.bn2'),
                loss=loss,
            ),
            fpn=dict(source='neck', data_idx=0, loss=loss),
        ),
    )
    model = toys.build(
        toys.algorithm(architecture=width, teacher=width, distiller=cfg)
    )
    with pytest.raises(UserError, match='teacher recorder.*is overwritten'):
        toys.losses(model)


@pytest.mark.parametrize('kind', ['DiffKDConnector', 'MimicConnector'])
def test_a_connector_that_no_loss_reads_teaches_nothing(kind):
    cfg = toys.pairs()
    cfg['pairs']['kd']['connector']['type'] = f'mmdiffkd.{kind}'
    cfg['pairs']['kd']['loss'] = None
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(
        UserError, match=r"\['diff_p3', 'diff_p4', 'diff_p5'\] are read by no"
    ):
        toys.losses(model)


def test_a_distance_in_front_of_the_chain_is_a_loss():
    cfg = toys.pairs()
    cfg['pairs']['kd']['connector']['direct_loss_weight'] = 1.0
    cfg['pairs']['kd']['loss'] = None
    losses = toys.losses(toys.build(toys.algorithm(distiller=cfg)))
    assert losses['distill.diff_p3.loss_direct'].requires_grad


def test_a_connector_with_losses_of_its_own_needs_no_other():
    cfg = toys.distiller(levels=1)
    cfg['connectors'] = dict(diff_p3=dict(type='mmdiffkd.CountingConnector'))
    cfg['distill_losses'] = cfg['loss_forward_mappings'] = None
    result = toys.losses(toys.build(toys.algorithm(distiller=cfg)))
    assert 'distill.diff_p3.loss_own' in result


@pytest.mark.parametrize(
    'loss', ['mmrazor.ChannelWiseDivergence', 'mmrazor.L2Loss']
)
def test_losses_of_mmrazor_take_maps_in_channels_last(loss):
    """Which have no view of another shape."""
    cfg = dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(source='neck', levels=['p3'], loss=dict(type=loss))
        ),
    )
    model = toys.build(
        toys.algorithm(teacher=toys.detector(width=12), distiller=cfg)
    )
    plain = toys.losses(model)['distill.loss_kd_p3']
    model.to(memory_format=torch.channels_last)
    batch = model.data_preprocessor(toys.batch(), True)
    batch['inputs'] = batch['inputs'].contiguous(
        memory_format=torch.channels_last
    )
    found = model(**batch, mode='loss')['distill.loss_kd_p3']
    torch.testing.assert_close(found, plain)


@MODELS.register_module(force=True)
class SlicingNeck(nn.Module):
    """Gives two slices of one map, and changes the second in place."""

    def forward(self, x):
        first, second = x[:, :8], x[:, 8:]
        second.sigmoid_()
        return first


@MODELS.register_module(force=True)
class Queries(nn.Module):
    """Gives its parameter, and a number that it counts on."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.ones(2, 4))
        self.register_buffer('calls', torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.queries, self.calls


def test_what_lives_on_or_is_a_slice_is_not_overwritten():
    from mmrazor.models.task_modules import RecorderManager

    from mmdiffkd.models.distillers.overwritten import (
        forget_versions,
        overwritten,
        watch_records,
    )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries, self.neck = Queries(), SlicingNeck()

        def forward(self, x):
            self.queries(x)
            feature = self.neck(x)
            x[:, 8:] *= 2
            return feature

    net = Net()
    manager = RecorderManager(
        {
            name: dict(type='ModuleOutputs', source=name)
            for name in ('queries', 'neck')
        }
    )
    manager.initialize(net)
    watch_records(manager, net)
    for _ in range(3):
        with manager:
            net(torch.randn(1, 16, 4, 4))
        for recorder in manager.recorders.values():
            assert not overwritten(recorder.data_buffer)
            forget_versions(recorder.data_buffer)
        with torch.no_grad():
            net.queries.queries.mul_(0.9)  # the optimizer


def test_the_mean_of_nothing_is_nothing_for_losses_of_mmrazor():
    cfg = two_losses_on_one_connector()
    model = toys.build(toys.algorithm(distiller=cfg))
    distiller = model.distiller
    empty = torch.zeros(0, 24, 2, 2, requires_grad=True)
    distiller.get_record = lambda **_: empty
    loss = distiller._run_loss(
        'loss_second', distiller.loss_forward_mappings['loss_second']
    )
    assert loss == 0 and loss.requires_grad


class OwnChannels(ChannelWiseDivergence):
    """Of a user."""


def test_subclasses_take_maps_in_channels_last_as_well():
    model = toys.build(toys.algorithm(distiller=two_losses_on_one_connector()))
    maps = torch.randn(2, 4, 3, 3).contiguous(
        memory_format=torch.channels_last
    )
    distiller = model.distiller
    distiller.get_record = lambda **_: maps
    distiller.distill_losses['loss_second'] = OwnChannels()
    records = dict(preds_S={}, preds_T={})
    assert distiller._run_loss('loss_second', records) == 0
