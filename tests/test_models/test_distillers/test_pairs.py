# Copyright (c) mmdiffkd contributors.
"""What pairs stand for, and what a wrong one is answered."""

import copy
import inspect

import pytest
import torch
from helpers import toys
from mmengine.config import Config, ConfigDict
from mmrazor.registry import MODELS as RAZOR_MODELS

from mmdiffkd.models.distillers.pairs import expand_distiller, expand_pairs
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.loading import load_config

L2 = dict(type='mmrazor.L2Loss', normalize=False, div_element=True)
DIFFKD = dict(
    type='mmdiffkd.DiffKDConnector', student_channels=16, teacher_channels=24
)
CONV = dict(
    type='mmrazor.ConvModuleConnector',
    in_channel=16,
    out_channel=24,
    kernel_size=1,
)


def expand(**pair):
    return expand_pairs(dict(kd=dict(dict(source='neck', loss=L2), **pair)))


def sides(parts, name='loss_kd'):
    """Records of student and teacher of a loss."""
    return list(parts['loss_forward_mappings'][name].values())


def places(parts, key='data_idx', part='loss_forward_mappings'):
    """Indices of student and teacher, by name."""
    return {
        name: tuple(record.get(key) for record in records.values())
        for name, records in parts[part].items()
    }


def test_a_source_and_a_loss_are_a_pair():
    assert expand() == dict(
        student_recorders=dict(kd=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(kd=dict(type='ModuleOutputs', source='neck')),
        connectors={},
        connector_forward_mappings={},
        distill_losses=dict(loss_kd=L2),
        loss_forward_mappings=dict(
            loss_kd=dict(
                s_feature=dict(recorder='kd', from_student=True),
                t_feature=dict(recorder='kd', from_student=False),
            )
        ),
    )


def test_levels_count_the_outputs():
    assert places(expand(levels=['p3', 'p4', 'p5'])) == {
        'loss_kd_p3': (0, 0),
        'loss_kd_p4': (1, 1),
        'loss_kd_p5': (2, 2),
    }


def test_levels_pick_from_the_outputs():
    parts = expand(outputs=['p3', 'p4', 'p5', 'p6'], levels=['p6', 'p4'])
    assert places(parts) == {'loss_kd_p6': (3, 3), 'loss_kd_p4': (1, 1)}


def test_levels_of_the_same_name_are_compared():
    parts = expand(
        levels=None,
        outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
        teacher=dict(outputs=['p2', 'p3', 'p4', 'p5', 'p6']),
    )
    assert places(parts) == {
        'loss_kd_p3': (0, 1),
        'loss_kd_p4': (1, 2),
        'loss_kd_p5': (2, 3),
        'loss_kd_p6': (3, 4),
    }


def test_a_head_that_is_called_for_each_level():
    parts = expand(levels=['p3', 'p4'], index='record_idx', data_idx=0)
    assert places(parts, 'record_idx')['loss_kd_p4'] == (1, 1)
    assert places(parts)['loss_kd_p4'] == (0, 0)


def test_one_side_may_count_calls_and_the_other_elements():
    parts = expand(levels=['p3', 'p4'], teacher=dict(index='record_idx'))
    assert sides(parts, 'loss_kd_p4') == [
        dict(recorder='kd', from_student=True, data_idx=1),
        dict(recorder='kd', from_student=False, record_idx=1),
    ]


def test_sides_may_differ_in_all_that_is_recorded():
    parts = expand(
        source=None,
        recorder_name='map',
        data_idx=-1,
        student=dict(source='decode_head.convs', data_idx=None),
        teacher=dict(
            source='backbone',
            recorder_type='ModuleInputs',
            recorder_name='other',
            record_idx=1,
        ),
    )
    assert parts['student_recorders'] == dict(
        map=dict(type='ModuleOutputs', source='decode_head.convs')
    )
    assert parts['teacher_recorders'] == dict(
        other=dict(type='ModuleInputs', source='backbone')
    )
    assert sides(parts) == [
        dict(recorder='map', from_student=True, data_idx=None),
        dict(recorder='other', from_student=False, record_idx=1, data_idx=-1),
    ]


@pytest.mark.parametrize('word', ['{level}', '{index}'])
def test_a_module_for_each_level(word):
    parts = expand(levels=['a', 'b'], student=dict(source=f'head.cls.{word}'))
    last = dict(zip(('{level}', '{index}'), ('b', '1')))[word]
    assert parts['student_recorders']['kd_b']['source'] == f'head.cls.{last}'
    assert parts['teacher_recorders']['kd']['source'] == 'neck'
    assert sides(parts, 'loss_kd_b') == [
        dict(recorder='kd_b', from_student=True),
        dict(recorder='kd', from_student=False, data_idx=1),
    ]


def test_a_connector_of_both_sides():
    parts = expand(levels=['p3', 'p4'], connector=DIFFKD)
    assert parts['connectors'] == dict(kd_p3=DIFFKD, kd_p4=DIFFKD)
    assert places(parts, part='connector_forward_mappings') == {
        'kd_p3': (0, 0),
        'kd_p4': (1, 1),
    }
    assert sides(parts, 'loss_kd_p4') == [
        dict(recorder='kd', from_student=True, connector='kd_p4'),
        dict(recorder='kd', from_student=False, connector='kd_p4'),
    ]


@pytest.mark.parametrize('connector', [CONV, [CONV, CONV], (CONV, CONV)])
def test_a_connector_of_mmrazor_is_the_students(connector):
    parts = expand(levels=['p3'], connector=connector, connector_name='align')
    whole = list(connector) if isinstance(connector, tuple) else connector
    assert parts['connectors'] == dict(align_p3=whole)
    assert sides(parts, 'loss_kd_p3') == [
        dict(
            recorder='kd', from_student=True, data_idx=0, connector='align_p3'
        ),
        dict(recorder='kd', from_student=False, data_idx=0),
    ]
    built = MODELS.build(
        dict(type='mmdiffkd.DiffKDDistiller', _scope_='mmrazor', **parts)
    )
    assert list(built.connectors) == ['align_p3']


def test_each_side_may_have_a_connector_in_front_of_the_common_one():
    parts = expand(
        connector=DIFFKD,
        student=dict(connector=CONV, connector_name='first'),
        teacher=dict(connector=[CONV]),
    )
    assert parts['connectors'] == dict(
        first=CONV, kd_teacher=[CONV], kd=DIFFKD
    )
    assert parts['connector_forward_mappings']['kd'] == dict(
        s_feature=dict(recorder='kd', from_student=True, connector='first'),
        t_feature=dict(
            recorder='kd', from_student=False, connector='kd_teacher'
        ),
    )


def test_connector_idx_picks_from_the_output_of_the_connector():
    parts = expand(connector=DIFFKD, connector_idx=0)
    assert all(record['connector_idx'] == 0 for record in sides(parts))
    for record in parts['connector_forward_mappings']['kd'].values():
        assert 'connector_idx' not in record
    parts = expand(teacher=dict(connector=CONV, connector_idx=1))
    assert [r.get('connector_idx') for r in sides(parts)] == [None, 1]


@pytest.mark.parametrize(
    'kind, arguments',
    [
        ('mmrazor.L2Loss', ['s_feature', 't_feature']),
        ('mmrazor.PKDLoss', ['preds_S', 'preds_T']),
        ('mmrazor.FBKDLoss', ['s_input', 't_input']),
        ('mmdiffkd.DISTLoss', ['logits_S', 'logits_T']),
        ('mmdiffkd.AttentionMSELoss', ['s_feature', 't_feature']),
        ('mmdet.SmoothL1Loss', ['pred', 'target']),
        ('KLDivergence', ['preds_S', 'preds_T']),
    ],
)
def test_arguments_of_a_loss_are_the_first_of_its_forward(kind, arguments):
    parts = expand(loss=dict(type=kind))
    assert list(parts['loss_forward_mappings']['loss_kd']) == arguments


def test_every_registered_loss_of_two_features_is_understood():
    known = {
        **{f'mmrazor.{k}': v for k, v in RAZOR_MODELS.module_dict.items()},
        **{f'mmdiffkd.{k}': v for k, v in MODELS.module_dict.items()},
    }
    losses = {k: v for k, v in known.items() if k.endswith('Loss')}
    assert len(losses) > 15
    for kind, cls in losses.items():
        names = list(inspect.signature(cls.forward).parameters)[1:3]
        if len(names) < 2:
            with pytest.raises(UserError, match='by hand'):
                expand(loss=dict(type=kind))
            continue
        parts = expand(loss=dict(type=kind))
        assert list(parts['loss_forward_mappings']['loss_kd']) == names


class Swapped(torch.nn.Module):
    def forward(self, teacher, student):
        return (student - teacher).abs().mean()


def test_a_class_and_an_order_of_the_users_own():
    parts = expand(
        loss=dict(type=Swapped),
        student=dict(loss_argument='student'),
        teacher=dict(loss_argument='teacher'),
    )
    assert parts['loss_forward_mappings']['loss_kd'] == dict(
        student=dict(recorder='kd', from_student=True),
        teacher=dict(recorder='kd', from_student=False),
    )


def test_several_losses_of_one_pair():
    parts = expand(
        levels=['p3'],
        loss_name='loss_a',
        losses=dict(pkd=dict(type='mmrazor.PKDLoss')),
    )
    assert list(parts['distill_losses']) == ['loss_a_p3', 'loss_a_pkd_p3']
    first, second = parts['loss_forward_mappings'].values()
    assert list(first.values()) == list(second.values())


def test_a_paired_connector_needs_no_loss():
    parts = expand(loss=None, connector=DIFFKD)
    assert not parts['distill_losses']
    assert list(parts['connector_forward_mappings']) == ['kd']


def test_further_arguments_of_loss_and_connector():
    labels = dict(
        source='head.loss_module', recorder_type='ModuleInputs', data_idx=1
    )
    parts = expand(
        connector=dict(DIFFKD, type='mmdiffkd.DSKDConnector'),
        connector_inputs=dict(labels=dict(labels, recorder_name='task')),
        loss=dict(type='mmdiffkd.DKDLoss'),
        loss_inputs=dict(gt_labels=dict(labels, from_student=False)),
    )
    assert parts['connector_forward_mappings']['kd']['labels'] == dict(
        recorder='task', from_student=True, data_idx=1
    )
    assert parts['loss_forward_mappings']['loss_kd']['gt_labels'] == dict(
        recorder='kd_gt_labels', from_student=False, data_idx=1
    )
    recorder = dict(type='ModuleInputs', source='head.loss_module')
    assert parts['student_recorders']['task'] == recorder
    assert parts['teacher_recorders']['kd_gt_labels'] == recorder


def test_a_further_argument_may_count_levels():
    parts = expand(
        outputs=['p3', 'p4'],
        levels=['p4'],
        connector=dict(DIFFKD, type='mmdiffkd.DSKDConnector'),
        connector_inputs=dict(labels=dict(source='head', index='record_idx')),
    )
    labels = parts['connector_forward_mappings']['kd_p4']['labels']
    assert labels == dict(
        recorder='kd_labels', from_student=True, record_idx=1
    )


def test_one_level_may_differ():
    parts = expand(
        levels=['p3', 'p4'],
        connector=DIFFKD,
        per_level=dict(
            p4=dict(
                connector=dict(student_channels=32),
                loss=dict(_delete_=True, type='mmrazor.PKDLoss'),
                teacher=dict(data_idx=5),
            )
        ),
    )
    assert parts['connectors']['kd_p3'] == DIFFKD
    assert parts['connectors']['kd_p4'] == dict(DIFFKD, student_channels=32)
    assert parts['distill_losses'] == dict(
        loss_kd_p3=L2, loss_kd_p4=dict(type='mmrazor.PKDLoss')
    )
    assert places(parts, part='connector_forward_mappings') == dict(
        kd_p3=(0, 0), kd_p4=(1, 5)
    )


def test_an_exception_may_stay_when_its_level_goes():
    change = dict(p4=dict(loss=dict(loss_weight=2.0)))
    parts = expand(outputs=['p3', 'p4'], levels=['p3'], per_level=change)
    assert parts['distill_losses'] == dict(loss_kd_p3=L2)


def test_none_drops_a_pair():
    assert not expand_pairs(dict(kd=None))['distill_losses']


def test_pairs_may_share_a_recorder():
    pair = dict(source='neck', recorder_name='fpn', loss=L2)
    parts = expand_pairs(dict(a=pair, b=pair))
    assert list(parts['student_recorders']) == ['fpn']
    # And one may read what another, or a part by hand, records.
    parts = expand_pairs(dict(a=dict(recorder_name='fpn', loss=L2)))
    assert not parts['student_recorders']
    assert sides(parts, 'loss_a')[0]['recorder'] == 'fpn'


def test_parts_by_hand_are_merged_over_the_pairs():
    own = ConfigDict(
        pairs=dict(kd=dict(source='neck', levels=['p3', 'p4'], loss=L2)),
        distill_losses=dict(
            loss_kd_p3=dict(loss_weight=7.0),
            loss_kd_p4=dict(_delete_=True, type='mmrazor.PKDLoss'),
            loss_x=L2,
        ),
        loss_forward_mappings=dict(
            loss_kd_p4=dict(_delete_=True, preds_S=dict(), preds_T=dict())
        ),
        student_recorders=dict(_delete_=True, x=dict(source='backbone')),
        student_rois=True,
    )
    before = copy.deepcopy(own)
    parts = expand_distiller(own)
    assert own == before
    assert 'pairs' not in parts and parts.student_rois is True
    assert parts.distill_losses == dict(
        loss_kd_p3=dict(L2, loss_weight=7.0),
        loss_kd_p4=dict(type='mmrazor.PKDLoss'),
        loss_x=L2,
    )
    assert set(parts.loss_forward_mappings.loss_kd_p4) == {
        'preds_S',
        'preds_T',
    }
    assert parts.student_recorders == dict(x=dict(source='backbone'))


MISTAKES = {
    'pairs': ('neck', 'distiller.pairs must be a dict'),
    'name': ({3: {}}, 'pairs.3: the name must be a string'),
    'pair': (dict(kd='neck'), "pairs.kd must be a dict, got 'neck'"),
    'key': (
        dict(sources='neck'),
        "pairs.kd.*'sources'; the closest are 'source'",
    ),
    'key of a side': (
        dict(student=dict(level=['p3'])),
        "pairs.kd.student has the unknown key 'level'",
    ),
    'levels of a side': (
        dict(student=dict(levels=['p3'])),
        "pairs.kd.student has the unknown key 'levels'.*its outputs",
    ),
    'outputs of one side alone': (
        dict(student=dict(outputs=['p3', 'p4'])),
        r"\['p3', 'p4'\], those of the teacher are not; .*teacher.outputs",
    ),
    'kind': (dict(source=3), 'pairs.kd.source must be a string, got 3'),
    'bool': (dict(data_idx=True), 'kd.data_idx must be an integer or None'),
    'no source': (dict(source=None), 'pairs.kd needs a source.*student'),
    'no source of the teacher': (
        dict(source=None, student=dict(source='neck')),
        'pairs.kd needs a source.*teacher',
    ),
    'no loss': (dict(loss=None), 'pairs.kd needs a loss'),
    'levels in a word': (
        dict(levels='p3'),
        r"kd.levels must be a list; of one level, \['p3'\].*line \[p3\]",
    ),
    'no levels': (dict(levels=[]), 'levels must be a list of .* got \\[\\]'),
    'the same levels': (dict(levels=['p3', 'p3']), 'different names'),
    'numbers for levels': (dict(levels=[3, 4]), 'different names'),
    'level that is not there': (
        dict(outputs=['p3', 'p4'], levels=['p33']),
        "kd.levels: 'p33' is not among the outputs of the student.*'p3'",
    ),
    'level that the teacher lacks': (
        dict(levels=['p3', 'p4'], teacher=dict(outputs=['p4', 'p5'])),
        "kd.levels: 'p3' is not among the outputs of the teacher",
    ),
    'no level in common': (
        dict(
            outputs=['p3', 'p4'],
            levels=None,
            teacher=dict(outputs=['c3', 'c4']),
        ),
        r"no level in common.*\['p3', 'p4'\].*\['c3', 'c4'\]",
    ),
    'exception for no level': (
        dict(levels=['p3'], per_level=dict(p4={})),
        "pairs.kd.per_level: 'p4' is not among .*'p3'",
    ),
    'key of an exception': (
        dict(levels=['p3'], per_level=dict(p3=dict(outputs=['p3']))),
        "pairs.kd.per_level.p3 has the unknown key 'outputs'",
    ),
    'index': (dict(index='idx'), "kd.index must be 'data_idx'.*'record_idx'"),
    'counted and fixed': (
        dict(levels=['p3'], data_idx=0),
        'data_idx counts the outputs.*record_idx.*per_level',
    ),
    'type of the loss': (
        dict(loss=dict(type='mmrazor.L2Los')),
        "pairs.kd.loss.type: 'mmrazor.L2Los' is not.*'L2Loss'",
    ),
    'loss without a type': (dict(loss=dict(a=1)), 'kd.loss needs a type'),
    'argument of the loss': (
        dict(loss=dict(L2, loss_weight='many')),
        'pairs.kd.loss.loss_weight must be a finite number',
    ),
    'loss of one feature': (
        dict(loss=dict(type='mmrazor.ActivationLoss')),
        'pairs.kd.loss.*ActivationLoss.*by hand',
    ),
    'one of several losses': (
        dict(losses=dict(a=dict(type='mmrazor.L2Los'))),
        'pairs.kd.losses.a.type',
    ),
    'type of the connector': (
        dict(connector=dict(type='mmdiffkd.DiffKDConector')),
        "kd.connector.type: .*'mmdiffkd.DiffKDConnector'",
    ),
    'argument of the connector': (
        dict(connector=dict(DIFFKD, student_channels='many')),
        'pairs.kd.connector.student_channels must be an integer',
    ),
    'two connectors of the student': (
        dict(connector=CONV, student=dict(connector=CONV)),
        'student.connector; give one',
    ),
    'connector of both sides on one': (
        dict(teacher=dict(connector=DIFFKD)),
        'kd.teacher.connector: .*sees both sides',
    ),
    'inputs of no connector': (
        dict(connector_inputs=dict(labels=dict(source='head'))),
        'kd.connector_inputs: no connector sees both sides',
    ),
    'input without a source': (
        dict(loss_inputs=dict(labels={})),
        'pairs.kd.loss_inputs.labels needs a source',
    ),
    'key of an input': (
        dict(loss_inputs=dict(labels=dict(sources='head'))),
        "kd.loss_inputs.labels has the unknown key 'sources'.*'source'",
    ),
}


@pytest.mark.parametrize('pair, message', MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_its_key(pair, message):
    wrong = not isinstance(pair, dict) or set(pair) & {'kd', 3}
    with pytest.raises(UserError, match=message):
        expand_pairs(pair) if wrong else expand(**pair)


def test_a_misspelt_pair_is_told_the_others():
    # As of `pairs.kdd.loss.loss_weight=10` on the command line.
    kd = dict(source='neck', loss=L2)
    with pytest.raises(UserError, match=r"kdd needs .* pairs are \['kd'\]"):
        expand_pairs(dict(kd=kd, kdd=dict(loss=dict(loss_weight=10))))


@pytest.mark.parametrize(
    'second, message',
    [
        (dict(recorder_name='a', source='backbone'), 'set recorder_name'),
        (dict(loss_name='loss_a'), "another 'loss_a'.*set loss_name"),
        (dict(connector_name='a'), "another 'a'.*set connector_name"),
    ],
)
def test_two_pairs_cannot_share_a_name(second, message):
    pair = dict(source='neck', loss=L2, connector=DIFFKD)
    with pytest.raises(UserError, match=f'pairs.b.*{message}'):
        expand_pairs(dict(a=pair, b=dict(pair, **second)))


def step(distiller, **kwargs):
    torch.manual_seed(0)
    model = toys.build(toys.algorithm(distiller=distiller, **kwargs))
    model.init_weights()
    torch.manual_seed(0)
    return model, toys.losses(model, toys.batch((64, 64)))


def test_pairs_train_as_what_they_stand_for():
    """To the bit, and either loads the other's checkpoint."""
    long, expected = step(toys.distiller())
    model, losses = step(toys.pairs())
    assert list(losses) == list(expected)
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    model.load_state_dict(long.state_dict())


def test_a_teacher_whose_pyramid_begins_lower():
    teacher = toys.detector(width=12, channels=24)
    teacher['neck'].update(start_level=0, num_outs=4)
    teacher['bbox_head']['anchor_generator']['strides'] = [4, 8, 16, 32]
    distiller = toys.pairs()
    distiller['pairs']['kd']['teacher'] = dict(
        outputs=['p2', 'p3', 'p4', 'p5']
    )
    model, losses = step(distiller, teacher=teacher)
    assert {f'distill.loss_kd_p{p}' for p in (3, 4, 5)} <= set(losses)
    records = model.distiller.connector_forward_mappings['diff_p3']
    assert records['t_feature']['data_idx'] == 1


@pytest.mark.parametrize(
    'change, message',
    [
        (
            dict(source='nec'),
            "student_recorders.fpn of pairs.kd: source 'nec'.*'neck'",
        ),
        (
            dict(levels=['p3', 'p4', 'p5', 'p6']),
            r'3 elements, but data_idx=3.*pairs\.kd\.outputs, or levels',
        ),
    ],
)
def test_what_the_models_do_not_have_names_the_pair(change, message):
    distiller = toys.pairs()
    distiller['pairs'].update(other=None)
    distiller['pairs']['kd'].update(change)
    with pytest.raises(UserError, match=message):
        step(distiller)


def test_the_log_says_what_is_compared(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmdiffkd.models.distillers.diffkd_distiller.print_log',
        lambda message, logger: said.append(message),
    )
    MODELS.build(toys.distiller())
    assert not said  # nothing that the config does not say
    MODELS.build(toys.pairs())
    (text,) = said
    assert text.splitlines()[2::3] == [
        'diff_p4: mmdiffkd.DiffKDConnector(s_feature=student neck['
        'data_idx=1], t_feature=teacher neck[data_idx=1])',
        'loss_kd_p4: mmrazor.L2Loss(s_feature=diff_p4.student, '
        't_feature=diff_p4.teacher)',
    ]


FPN = 'mmdiffkd::_base_/distillers/diffkd_fpn.py'


def read(tmp_path, text, **options):
    path = tmp_path / 'c.py'
    path.write_text(f'_base_ = [{FPN!r}]\n{text}\n')
    return expand_distiller(load_config(str(path), options).distiller)


def test_a_variant_is_a_key_of_a_config(tmp_path):
    text = """distiller = dict(pairs=dict(kd=dict(
        outputs=['p3', 'p4', 'p5'],
        connector=dict(recipe='released'),
        loss=dict(_delete_=True, type='mmrazor.PKDLoss'))))"""
    parts = read(tmp_path, text)
    assert list(parts.connectors) == ['diff_p3', 'diff_p4', 'diff_p5']
    assert {c.recipe for c in parts.connectors.values()} == {'released'}
    assert parts.distill_losses.loss_kd_p5 == dict(type='mmrazor.PKDLoss')
    assert set(parts.loss_forward_mappings.loss_kd_p5) == {
        'preds_S',
        'preds_T',
    }


def test_parts_by_hand_in_a_config_above_a_base_of_pairs(tmp_path):
    """As configs on top of the bases of 7aac653 are written."""
    text = """distiller = dict(distill_losses={
        f'loss_kd_p{p}': dict(
            _delete_=True, type='mmdiffkd.AttentionMSELoss', loss_weight=p)
        for p in range(3, 8)})"""
    parts = read(tmp_path, text)
    assert parts.distill_losses.loss_kd_p7 == dict(
        type='mmdiffkd.AttentionMSELoss', loss_weight=7
    )


def options(*words):
    """As the command line parses them."""
    import argparse

    from mmdiffkd.utils.configs.loading import CfgOptions

    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


def test_a_variant_is_a_key_of_the_command_line(checkout):
    cfg = load_config(
        str(checkout / 'configs/det/diffkd_retina_r101_r50.py'),
        options(
            'model.distiller.pairs.kd.levels=[p4,p5]',
            'model.distiller.pairs.kd.loss.loss_weight=10',
            'model.distiller.pairs.kd.connector.recipe=released',
            'model.distiller.pairs.reg=None',
            'model.distiller.connectors.diff_p5.with_cp=True',
        ),
    )
    parts = expand_distiller(cfg.model.distiller)
    assert places(parts, part='connector_forward_mappings') == dict(
        diff_p4=(1, 1), diff_p5=(2, 2)
    )
    assert [v.loss_weight for v in parts.distill_losses.values()] == [10, 10]
    assert {c.recipe for c in parts.connectors.values()} == {'released'}
    assert parts.connectors.diff_p5.with_cp is True
    assert MODELS.build(cfg.model.distiller).distill_losses.keys() == {
        'loss_kd_p4',
        'loss_kd_p5',
    }


def test_another_loss_on_the_command_line(checkout):
    cfg = load_config(
        str(checkout / 'configs/_base_/distillers/diffkd_fpn.py'),
        options(
            'distiller.pairs.kd.loss._delete_=True',
            'distiller.pairs.kd.loss.type=mmdiffkd.AttentionMSELoss',
        ),
    )
    for loss in expand_distiller(cfg.distiller).distill_losses.values():
        assert loss == dict(type='mmdiffkd.AttentionMSELoss')


def test_a_dumped_config_keeps_the_pairs(tmp_path):
    cfg = Config(dict(distiller=toys.pairs()))
    cfg.dump(tmp_path / 'dumped.py')
    again = Config.fromfile(tmp_path / 'dumped.py').distiller
    assert expand_distiller(again) == expand_distiller(cfg.distiller)
