# Copyright (c) mmdiffkd contributors.
"""A remedy that a message names is followed, and helps."""

import ast
import copy
import re
from pathlib import Path

import pytest
from helpers import toys, two_stage_toys
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, init_default_scope

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.utils import UserError
from mmdiffkd.utils.pyramid import base_for, level_numbers

BASES = Path(__file__).parents[3] / 'configs/_base_/distillers'
CHANNELS = 16


def with_levels(cfg, low, high):
    """The same detector on the levels P``low`` to P``high``."""
    strides = [2**p for p in range(low, high + 1)]
    cfg = copy.deepcopy(cfg)
    cfg['neck'].update(
        start_level=low - 2,  # the backbone's stages have strides 4 to 32
        num_outs=len(strides),
        add_extra_convs='on_output',
    )
    if 'rpn_head' in cfg:
        cfg['rpn_head']['anchor_generator']['strides'] = strides
        extractor = cfg['roi_head']['bbox_roi_extractor']
        extractor['featmap_strides'] = strides[:4]
    elif 'anchor_generator' in cfg['bbox_head']:
        cfg['bbox_head']['anchor_generator']['strides'] = strides
    return cfg


def retina(low=3, high=7, classes=3):
    cfg = with_levels(toys.detector(), low, high)
    cfg['bbox_head']['num_classes'] = classes
    return cfg


def mask_rcnn(classes=3, low=2, high=6):
    """The student and teacher of the issue, without their mask heads."""
    return with_levels(two_stage_toys.faster_rcnn(classes=classes), low, high)


def fcos():
    cfg = retina()
    cfg['type'] = 'mmdet.FCOS'
    cfg['bbox_head'] = dict(
        type='mmdet.FCOSHead',
        num_classes=3,
        in_channels=CHANNELS,
        stacked_convs=1,
        feat_channels=CHANNELS,
        strides=[8, 16, 32, 64, 128],
        norm_cfg=None,
    )
    return cfg


def distiller(base, settings):
    """A shipped base for the toys' width, and what a message sets in it."""
    cfg = Config.fromfile(BASES / base)
    cfg.merge_from_dict({f'distiller.{k}': v for k, v in settings.items()})
    cfg = cfg.distiller

    def narrow(item):
        if isinstance(item, dict):
            for key, value in item.items():
                if value == 256 and 'channel' in key:
                    item[key] = CHANNELS
                else:
                    narrow(value)

    narrow(cfg)
    return cfg


def train(base, student, teacher, **settings):
    """One step, and the names of its levels against their strides."""
    init_default_scope('mmdet')
    cfg = dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=copy.deepcopy(student),
        teacher=copy.deepcopy(teacher),
        allow_random_teacher=True,
        distiller=distiller(base, settings),
    )
    model = MODELS.build(Config(dict(model=cfg)).model)
    sizes = []
    model.student.neck.register_forward_hook(
        lambda m, i, out: sizes.extend(t.shape[-1] for t in out)
    )
    size = 256
    losses = toys.losses(model, toys.batch(size=(size, size)))
    named = {
        int(match[1])
        for key in losses
        if (match := re.fullmatch(r'distill\.loss_kd_p(\d)', key))
    }
    strides = {(size // width).bit_length() - 1 for width in sizes}
    assert named == strides & set(level_numbers(model.teacher))
    return losses


ANCHORS = dict(
    type='mmdet.AnchorGenerator',
    octave_base_scale=4,
    scales_per_octave=2,
    ratios=[1.0],
    strides=[8, 16, 32, 64, 128],
)
OTHER_ANCHORS = retina()
OTHER_ANCHORS['bbox_head']['anchor_generator'] = ANCHORS
MISTAKES = [
    # What is tried, of which student and teacher.
    ('diffkd_faster_rcnn.py', mask_rcnn(), mask_rcnn(80)),
    ('diffkd_retina.py', retina(), OTHER_ANCHORS),
    ('diffkd_faster_rcnn.py', retina(), mask_rcnn(low=3, high=7)),
    ('diffkd_faster_rcnn.py', fcos(), fcos()),
    ('diffkd_faster_rcnn.py', mask_rcnn(), retina(2, 6)),
    ('diffkd_faster_rcnn.py', mask_rcnn(), retina()),
    ('diffkd_faster_rcnn.py', retina(3, 5), retina(3, 5)),
]


def remedy_of(message):
    """The base that a message names, and the settings."""
    (base,) = set(re.findall(r'\w+\.py', message))
    settings = {
        key: ast.literal_eval(value)
        for key, value in re.findall(r"(pairs[\w.]+)=(\['.*?'\])", message)
    }
    return base, settings


@pytest.mark.parametrize('base, student, teacher', MISTAKES)
def test_the_base_that_is_recommended(base, student, teacher):
    with pytest.raises(UserError) as mistake:
        train(base, student, teacher)
    named, settings = remedy_of(str(mistake.value))
    losses = train(named, student, teacher, **settings)
    assert not any('loss_reg' in name for name in losses)


@pytest.mark.parametrize('base, student, teacher', MISTAKES[:2])
def test_dropping_the_pair_is_the_other_remedy(base, student, teacher):
    with pytest.raises(UserError, match=r'pairs\.reg=None'):
        train(base, student, teacher)
    losses = train(base, student, teacher, **{'pairs.reg': None})
    assert not any('loss_reg' in name for name in losses)


def test_levels_that_are_not_known():
    assert 'diffkd_fpn.py' in base_for([])
    assert base_for([3, 4, 5, 6, 7]) == 'diffkd_fpn.py'


@pytest.mark.parametrize(
    'name, levels',
    [
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', [3, 4, 5, 6, 7]),
        ('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
         [3, 4, 5, 6, 7]),
        ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', [2, 3, 4, 5, 6]),
        ('mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py',
         [3, 4, 5, 6, 7]),
        ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', [3, 4, 5]),
        ('mmdet::detr/detr_r50_8xb2-150e_coco.py', []),
    ],
)  # fmt: skip
def test_levels_of_stock_detectors(name, levels):
    cfg = get_config(name)
    init_default_scope('mmdet')
    cfg.model.backbone.pop('init_cfg', None)
    assert level_numbers(MODELS.build(cfg.model)) == levels


@pytest.mark.parametrize(
    'path', sorted(BASES.parents[1].glob('det/*.py')), ids=lambda p: p.stem
)
def test_names_of_levels_are_their_strides(path):
    """In every shipped pair, `p3` is the level of stride 8."""
    cfg = Config.fromfile(path)
    init_default_scope('mmdet')
    student = cfg.model.architecture
    student.backbone.pop('init_cfg', None)
    levels = level_numbers(MODELS.build(student))
    parts = expand_distiller(cfg.model.distiller.to_dict())
    checked = 0
    for part in ('connector_forward_mappings', 'loss_forward_mappings'):
        for name, mapping in (parts.get(part) or {}).items():
            match = re.search(r'_p(\d)$', name)
            for record in mapping.values():
                index = record.get('data_idx')
                # Who writes a pair chooses the name of its recorder.
                side = 'student' if record.get('from_student') else 'teacher'
                recorder = parts[f'{side}_recorders'][record['recorder']]
                of_levels = recorder['source'] == 'neck'
                if match and of_levels and index is not None:
                    assert levels[index] == int(match[1])
                    checked += 1
    assert checked or 'dist_' in path.name or 'kd_faster' in path.name
