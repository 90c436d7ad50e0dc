# Copyright (c) mmdiffkd contributors.
"""What a message tells to set is set, and the distillation runs."""

import copy

import pytest
import torch
from helpers import dskd_toys, task_toys, toys, two_stage_toys
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS

from mmdiffkd.utils import UserError

CONNECTOR = 'distiller.connectors.diff_p3.'
MAPPING = 'distiller.connector_forward_mappings.diff_p3.'


def set_all(cfg, options):
    """The options, as ``--cfg-options model....`` sets them."""
    config = Config(dict(model=copy.deepcopy(cfg)))
    config.merge_from_dict({f'model.{k}': v for k, v in options.items()})
    return config.model.to_dict()


def losses(task, cfg):
    model = task_toys.build(task, cfg)
    model.init_weights()
    model.train()
    data = task_toys.batch(task)
    out = model(**model.data_preprocessor(data, True), mode='loss')
    total, _ = model.parse_losses(out)
    total.backward()
    return out


def two_stage(**teacher):
    """Regression alone, of the student's RoIs."""
    cfg = two_stage_toys.algorithm()
    cfg['teacher'] = two_stage_toys.faster_rcnn(
        width=12, channels=24, **teacher
    )
    for key in ('distill_losses', 'loss_forward_mappings'):
        cfg['distiller'][key].pop('loss_cls')
    return cfg


STDS = [0.05, 0.05, 0.1, 0.1]
CASES = {
    # The mistake, words of the message, and what they tell to do.
    'channels': (
        {CONNECTOR + 'student_channels': 8},
        'set student_channels=16',
        {CONNECTOR + 'student_channels': 16},
    ),
    'size': (
        {MAPPING + 't_feature.data_idx': 1},
        r"pair levels of equal stride, or set resize='bilinear'",
        {CONNECTOR + 'resize': 'bilinear'},
    ),
    'size, much larger': (
        {MAPPING + 't_feature.data_idx': 2},
        "set resize='area'",
        {CONNECTOR + 'resize': 'area'},
    ),
    'index of a tensor': (
        {
            'distiller.student_recorders.fpn.source': 'neck.fpn_convs.0',
            'distiller.connectors': {},
        },
        'set data_idx=None for a Tensor',
        {MAPPING + 's_feature.data_idx': None},
    ),
    'no weights': (
        {'allow_random_teacher': False},
        'model.allow_random_teacher=True',
        {'allow_random_teacher': True},
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_of_a_detector(case):
    mistake, words, remedy = CASES[case]
    cfg = toys.algorithm(distiller=toys.distiller(levels=1))
    mistake = {k: v for k, v in mistake.items() if v != {}}
    cfg = set_all(cfg, mistake)
    with pytest.raises(UserError, match=words):
        losses('det', cfg)
    out = losses('det', set_all(cfg, remedy))
    assert out['distill.loss_kd_p3'].isfinite()


def test_of_rois_that_are_not_the_students():
    cfg = set_all(two_stage(), {'distiller.student_rois': False})
    with pytest.raises(UserError, match=r'model\.distiller\.student_rois=Tr'):
        losses('det', cfg)
    out = losses('det', set_all(cfg, {'distiller.student_rois': True}))
    assert out['distill.loss_reg'].isfinite()


def test_of_boxes_encoded_otherwise():
    cfg = two_stage(stds=STDS)
    words = "give the student the teacher's roi_head.bbox_head.bbox_coder"
    with pytest.raises(UserError, match=words):
        losses('det', cfg)
    coder = cfg['teacher']['roi_head']['bbox_head']['bbox_coder']
    cfg['architecture']['roi_head']['bbox_head']['bbox_coder'] = coder
    assert losses('det', cfg)['distill.loss_reg'].isfinite()


def test_of_features_that_are_recomputed():
    cfg = task_toys.algorithm('cls')
    cfg['architecture']['backbone']['with_cp'] = True
    record = dict(type='ModuleOutputs', source='backbone.layer3.0.conv1')
    cfg['distiller'].update(
        student_recorders=dict(out=record),
        teacher_recorders=dict(out=dict(record)),
    )
    connector = cfg['distiller']['connectors']['diff_out']
    connector.pop('denoiser')
    connector.update(student_channels=32, teacher_channels=48)
    with pytest.raises(UserError, match='set with_cp=False, or record a mod'):
        losses('cls', cfg)
    torch.manual_seed(0)
    cfg['architecture']['backbone']['with_cp'] = False
    assert losses('cls', cfg)['distill.loss_kd'].isfinite()
    # The other way: a module around what is recomputed.
    cfg['architecture']['backbone']['with_cp'] = True
    for side in ('student', 'teacher'):
        cfg['distiller'][f'{side}_recorders']['out']['source'] = (
            'backbone.layer3.0'
        )
    assert losses('cls', cfg)['distill.loss_kd'].isfinite()


SOURCES = [
    f'distiller.{side}_recorders.out.source' for side in ('student', 'teacher')
]
RECORDS = 'distiller.loss_forward_mappings.loss_kd.'


def of_logits(task):
    """Logits against logits, without a connector."""
    cfg = task_toys.algorithm(task)
    for key in ('connectors', 'connector_forward_mappings'):
        cfg['distiller'].pop(key)
    cfg['distiller']['distill_losses']['loss_kd'] = dict(
        type='mmdiffkd.DISTLoss'
    )
    mapping = cfg['distiller']['loss_forward_mappings']['loss_kd']
    for name in ('logits_S', 'logits_T'):
        record = mapping.pop(dict(S='s_feature', T='t_feature')[name[-1]])
        record.pop('connector')
        mapping[name] = record
    return cfg


# Task, its config, the mistake, words of the message, what they tell to do.
OTHER_CASES = {
    'a head that is called past its hooks': (
        'seg',
        task_toys.algorithm,
        dict.fromkeys(SOURCES, 'decode_head'),
        'name a module inside, such as decode_head.conv_seg',
        dict.fromkeys(SOURCES, 'decode_head.conv_seg'),
    ),
    'a record that is not made': (
        'cls',
        of_logits,
        {RECORDS + 'logits_S.record_idx': 1},
        'record_idx=1 is asked for; name a module that the forward pass calls',
        {RECORDS + 'logits_S.record_idx': 0},
    ),
    'other classes, the teacher is changed': (
        'cls',
        of_logits,
        {'teacher.head.num_classes': 5},
        'set num_classes of the student or of the teacher',
        {'teacher.head.num_classes': 3},
    ),
    'other classes, the student is changed': (
        'seg',
        of_logits,
        {'teacher.decode_head.num_classes': 5},
        'set num_classes of the student or of the teacher',
        {'architecture.decode_head.num_classes': 5},
    ),
    'maps of another size': (
        'seg',
        of_logits,
        {'teacher.backbone.strides': (1, 2, 2, 1)},
        r"connector such as mmdiffkd.DiffKDConnector\(resize='bilinear'\)",
        {
            'distiller': task_toys.distiller('seg', resize='bilinear'),
            RECORDS[:-1]: dict(
                _delete_=True,
                **{
                    f'{side[0]}_feature': dict(
                        recorder='out',
                        from_student=side == 'student',
                        connector='diff_out',
                    )
                    for side in ('student', 'teacher')
                },
            ),
            'distiller.distill_losses.loss_kd': dict(
                _delete_=True, type='mmrazor.L2Loss'
            ),
        },
    ),
    'an inherited part that differs is removed': (
        'det',
        task_toys.algorithm,
        {'inherit_teacher': ['backbone', 'bbox_head']},
        "Remove 'backbone' from model.inherit_teacher",
        {'inherit_teacher': ['bbox_head']},
    ),
    'an inherited part that differs is configured alike': (
        'det',
        task_toys.algorithm,
        {'inherit_teacher': ['neck']},
        'or configure it alike in both',
        {'teacher.backbone': task_toys.student('det')['backbone'],
         'teacher.neck': task_toys.student('det')['neck']},
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', OTHER_CASES)
def test_of_any_task(case):
    task, make, mistake, words, remedy = OTHER_CASES[case]
    cfg = set_all(make(task), mistake)
    with pytest.raises(UserError, match=words):
        losses(task, cfg)
    out = losses(task, set_all(cfg, remedy))
    assert out['distill.loss_kd' + '_p3' * (task == 'det')].isfinite()


def test_of_a_key_that_the_teachers_file_sets(tmp_path):
    path = tmp_path / 'teacher.py'
    teacher = task_toys.student('cls', width=12)
    Config(dict(model=teacher, default_scope='mmpretrain')).dump(path)
    cfg = task_toys.algorithm('cls')
    neck = dict(type='mmpretrain.GlobalAveragePooling', dim=2)
    cfg['teacher'] = dict(cfg_path=str(path), neck=neck)
    with pytest.raises(UserError, match=r"cfg_options={'model.neck': \.\.\.}"):
        losses('cls', cfg)
    del cfg['teacher']['neck']
    cfg['teacher']['cfg_options'] = {'model.neck': neck}
    assert losses('cls', cfg)['distill.loss_kd'].isfinite()


@pytest.mark.parametrize(
    'task, mistake, words, remedy',
    [
        (
            'cls',
            dict(head='neck'),
            "name one such as 'head.fc'",
            dict(head='head.fc'),
        ),
        (
            'seg',
            dict(head='backbone.layer4', teacher_channels=8),
            'record the feature that this head is applied to',
            dict(head='decode_head.conv_seg', teacher_channels=8),
        ),
        # The other remedy: all that lies between feature and scores.
        (
            'det',
            dict(head='bbox_head.retina_cls', teacher_channels=24),
            'name the modules that lie between',
            dict(head=['bbox_head.cls_convs', 'bbox_head.retina_cls']),
        ),
        (
            'cls',
            dict(head='head'),
            "name the last layer itself, such as 'head.fc'",
            dict(head='head.fc'),
        ),
        (
            'seg',
            dict(target='label', labels=True, activation='sigmoid'),
            "set guidance.target='teacher'",
            dict(target='teacher', activation='sigmoid'),
        ),
        ('cls', dict(head=None), "such as 'head.fc'", dict(head='head.fc')),
    ],
)
def test_of_the_guidance_of_dskd(task, mistake, words, remedy):
    def run(options):
        return dskd_toys.losses(dskd_toys.build(task, **options), task)

    with pytest.raises(UserError, match=words):
        run(mistake)
    assert run(remedy)['distill.loss_dskd'].isfinite()


def test_of_a_module_that_is_called_once_a_level():
    """A head shared by the levels, compared by an index of its outputs."""
    cfg = toys.algorithm()
    pair = dict(
        source='bbox_head.retina_reg',
        levels=['p3', 'p4', 'p5'],
        outputs=['p3', 'p4', 'p5'],
        data_idx=0,
        loss=dict(type='mmrazor.L2Loss'),
    )
    kind = {k: cfg['distiller'][k] for k in ('_scope_', 'type')}

    def run(**changes):
        entry = {**pair, **changes}
        entry = {k: v for k, v in entry.items() if v is not None}
        cfg['distiller'] = dict(kind, pairs=dict(reg=entry))
        return losses('det', copy.deepcopy(cfg))

    with pytest.raises(UserError, match="set index='record_idx'.*per_level"):
        run()
    out = run(index='record_idx', data_idx=None)
    assert out['distill.loss_reg_p5'].isfinite()


def test_of_a_loss_that_pairs_cannot_name():
    cfg = task_toys.algorithm('cls')
    loss = dict(type='mmrazor.ActivationLoss')
    pair = dict(source='head.fc', loss=loss)
    kind = {k: cfg['distiller'][k] for k in ('_scope_', 'type')}
    cfg['distiller'] = dict(kind, pairs=dict(kd=pair))
    with pytest.raises(UserError, match='loss_forward_mappings by hand'):
        losses('cls', cfg)
    record = dict(type='ModuleOutputs', source='head.fc')
    cfg['distiller'] = dict(
        kind,
        student_recorders=dict(fc=record),
        teacher_recorders=dict(fc=dict(record)),
        distill_losses=dict(loss_kd=loss),
        loss_forward_mappings=dict(
            loss_kd=dict(feat_T=dict(recorder='fc', from_student=True))
        ),
    )
    assert losses('cls', cfg)['distill.loss_kd'].isfinite()


def test_of_a_class_that_was_not_imported(tmp_path, monkeypatch):
    """`custom_imports` of the module in which it is registered."""
    (tmp_path / 'my_distance.py').write_text(
        'from mmrazor.models.losses import L2Loss\n'
        'from mmrazor.registry import MODELS\n'
        '@MODELS.register_module(force=True)\n'
        'class MyDistance(L2Loss):\n'
        '    pass\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    cfg = toys.algorithm()
    cfg['distiller'] = toys.pairs()
    cfg['distiller']['pairs']['kd']['loss']['type'] = 'MyDistance'
    with pytest.raises(UserError, match='name its module in custom_imports'):
        losses('det', copy.deepcopy(cfg))
    text = f'custom_imports = dict(imports=["my_distance"])\nmodel = {cfg!r}'
    (tmp_path / 'c.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'c.py').model.to_dict()
    assert losses('det', cfg)['distill.loss_kd_p3'].isfinite()


@MODELS.register_module(force=True)
class AroundAnother(BaseDataPreprocessor):
    """A preprocessor of a user's, which says nothing of its own."""

    def __init__(self, inner, **_):
        super().__init__()
        self.inner = MODELS.build(inner)

    def forward(self, data, training=False):
        return self.inner(data, training)


def test_of_preprocessors_that_cannot_be_compared():
    cfg = toys.algorithm()
    student = cfg['architecture']
    inner = student['data_preprocessor']
    student['data_preprocessor'] = dict(type='AroundAnother', inner=inner)
    with pytest.raises(UserError, match='set match_teacher_input=False'):
        losses('det', copy.deepcopy(cfg))
    cfg['match_teacher_input'] = False
    assert losses('det', cfg)['distill.loss_kd_p3'].isfinite()


KD = 'distiller.pairs.kd.'
OTHER = dict(
    source='neck.lateral_convs.0', loss=dict(type='mmrazor.L2Loss')
)  # fmt: skip
PLAIN = dict(type='mmrazor.ConvModuleConnector', in_channel=16, out_channel=24)
# The mistake, words of the message, and what they tell to do.
PAIRS = {
    'one side connected twice': (
        {KD + 'connector': dict(PLAIN, _delete_=True),
         KD + 'student.connector': PLAIN},
        'give one of them',
        {KD + 'student': dict(_delete_=True)},
    ),
    'one recorder of two sources': (
        {'distiller.pairs.other': dict(OTHER, recorder_name='fpn'),
         'teacher.neck.out_channels': 16,
         KD + 'connector.teacher_channels': 16},
        'set recorder_name',
        {'distiller.pairs.other.recorder_name': 'lateral'},
    ),
    'a level that the module does not give': (
        {KD + 'levels': ['p4']},
        r'name all of them, in its order: .*outputs',
        {KD + 'outputs': ['p3', 'p4', 'p5']},
    ),
    'statistics that count as losses': (
        {KD + 'connector_name': 'loss'},
        'statistics carry its name; rename it',
        {KD + 'connector_name': 'difference'},
    ),
    'nothing to record': (
        {KD + 'source': 'nec'},
        "'nec'.*'neck'",
        {KD + 'source': 'neck'},
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', PAIRS)
def test_of_pairs(case):
    mistake, words, remedy = PAIRS[case]
    cfg = set_all(toys.algorithm(distiller=toys.pairs()), mistake)
    if case.startswith('a level'):
        cfg['distiller']['pairs']['kd']['outputs'] = ['p3', 'p5']
    with pytest.raises(UserError, match=words):
        losses('det', cfg)
    out = losses('det', set_all(cfg, remedy))
    assert any(name.startswith('distill.loss_kd') for name in out)


def test_of_features_that_are_frozen():
    cfg = toys.algorithm(distiller=toys.distiller(levels=1))
    cfg['architecture']['backbone']['frozen_stages'] = 4
    for side in ('student', 'teacher'):
        recorder = cfg['distiller'][f'{side}_recorders']['fpn']
        recorder['source'] = 'backbone'
    cfg['distiller']['connectors']['diff_p3'].update(
        student_channels=8, teacher_channels=12
    )
    with pytest.raises(UserError, match='module is frozen.*: unfreeze it'):
        losses('det', cfg)
    cfg['architecture']['backbone']['frozen_stages'] = -1
    assert losses('det', cfg)['distill.loss_kd_p3'].isfinite()
