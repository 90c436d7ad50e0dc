# Copyright (c) mmdiffkd contributors.
"""Small real two-stage detectors and a distillation config around them."""

from helpers import toys

STDS = [0.1, 0.1, 0.2, 0.2]


def box_head(channels, classes=3, agnostic=False, stds=STDS):
    return dict(
        type='mmdet.Shared2FCBBoxHead',
        in_channels=channels,
        fc_out_channels=16,
        roi_feat_size=3,
        num_classes=classes,
        reg_class_agnostic=agnostic,
        bbox_coder=dict(
            type='mmdet.DeltaXYWHBBoxCoder',
            target_means=[0.0] * 4,
            target_stds=list(stds),
        ),
        loss_cls=dict(type='mmdet.CrossEntropyLoss'),
        loss_bbox=dict(type='mmdet.L1Loss'),
    )


def faster_rcnn(width=8, channels=16, norm=None, **head):
    """Faster R-CNN on a narrow ResNet-18 with three FPN levels."""
    cfg = toys.detector(width, channels, norm)
    strides = [8, 16, 32]
    sampler = dict(
        type='mmdet.RandomSampler', num=16, pos_fraction=0.5, neg_pos_ub=-1
    )
    assigner = dict(
        type='mmdet.MaxIoUAssigner',
        pos_iou_thr=0.5,
        neg_iou_thr=0.5,
        min_pos_iou=0.5,
        match_low_quality=False,
    )
    proposals = dict(
        nms_pre=50,
        max_per_img=30,
        min_bbox_size=0,
        nms=dict(type='nms', iou_threshold=0.7),
    )
    cfg.pop('bbox_head')
    cfg.update(
        type='mmdet.FasterRCNN',
        rpn_head=dict(
            type='mmdet.RPNHead',
            in_channels=channels,
            feat_channels=8,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                scales=[4],
                ratios=[1.0],
                strides=strides,
            ),
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
            loss_bbox=dict(type='mmdet.L1Loss'),
        ),
        roi_head=dict(
            type='mmdet.StandardRoIHead',
            bbox_roi_extractor=dict(
                type='mmdet.SingleRoIExtractor',
                out_channels=channels,
                roi_layer=dict(
                    type='RoIAlign', output_size=3, sampling_ratio=2
                ),
                featmap_strides=strides,
            ),
            bbox_head=box_head(channels, **head),
        ),
        train_cfg=dict(
            rpn=dict(
                assigner=dict(assigner, match_low_quality=True),
                sampler=dict(sampler, add_gt_as_proposals=False),
                allowed_border=-1,
                pos_weight=-1,
            ),
            rpn_proposal=proposals,
            rcnn=dict(
                assigner=assigner,
                sampler=dict(sampler, add_gt_as_proposals=True),
                pos_weight=-1,
            ),
        ),
        test_cfg=dict(
            rpn=proposals,
            rcnn=dict(
                score_thr=0.0,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=5,
            ),
        ),
    )
    return cfg


def cascade_rcnn(**kwargs):
    """Two stages behind the same features, class-agnostic as in the zoo."""
    cfg = faster_rcnn(**kwargs)
    cfg['type'] = 'mmdet.CascadeRCNN'
    channels = cfg['neck']['out_channels']
    cfg['roi_head'].update(
        type='mmdet.CascadeRoIHead',
        num_stages=2,
        stage_loss_weights=[1, 0.5],
        bbox_head=[
            box_head(channels, agnostic=True, stds=[v / n for v in STDS])
            for n in (1, 2)
        ],
    )
    cfg['train_cfg']['rcnn'] = [cfg['train_cfg']['rcnn']] * 2
    return cfg


def without_neck(**head):
    """A single map and a shared head behind the RoI extractor (C4)."""
    cfg = faster_rcnn(width=64, channels=256)
    cfg.pop('neck')
    cfg['backbone'].update(
        num_stages=3, out_indices=(2,), strides=(1, 2, 2), dilations=(1, 1, 1)
    )
    cfg['rpn_head']['anchor_generator']['strides'] = [16]
    cfg['roi_head']['bbox_roi_extractor']['featmap_strides'] = [16]
    cfg['roi_head']['shared_head'] = dict(
        type='mmdet.ResLayer',
        depth=18,
        stage=3,
        stride=2,
        dilation=1,
        style='pytorch',
        norm_cfg=dict(type='BN'),
    )
    cfg['roi_head']['bbox_head'] = dict(box_head(512, **head), roi_feat_size=2)
    return cfg


def distiller():
    """Classification and regression on the student's RoIs, nothing else."""
    sources = dict(cls='fc_cls', reg='fc_reg')
    recorders = {
        name: dict(type='ModuleOutputs', source=f'roi_head.bbox_head.{source}')
        for name, source in sources.items()
    }
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_rois=True,
        student_recorders=recorders,
        teacher_recorders=recorders,
        distill_losses=dict(
            loss_cls=dict(type='mmdiffkd.DISTLoss'),
            loss_reg=dict(type='mmdiffkd.BoxRegressionLoss', beta=1.0),
        ),
        loss_forward_mappings=dict(
            loss_cls=dict(
                logits_S=dict(recorder='cls', from_student=True),
                logits_T=dict(recorder='cls', from_student=False),
            ),
            loss_reg=dict(
                preds_S=dict(recorder='reg', from_student=True),
                preds_T=dict(recorder='reg', from_student=False),
            ),
        ),
    )


def algorithm(**overrides):
    """Config of the whole; ``overrides`` replace its top-level keys."""
    cfg = dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=faster_rcnn(),
        teacher=faster_rcnn(width=12, channels=24),
        allow_random_teacher=True,
        distiller=distiller(),
    )
    cfg.update(overrides)
    return cfg


def hybrid_task_cascade(**kwargs):
    """A cascade whose box heads also see the feature of a semantic branch."""
    cfg = cascade_rcnn(**kwargs)
    cfg['type'] = 'mmdet.HybridTaskCascade'
    channels = cfg['neck']['out_channels']
    cfg['roi_head'].update(
        type='mmdet.HybridTaskCascadeRoIHead',
        semantic_roi_extractor=dict(
            cfg['roi_head']['bbox_roi_extractor'], featmap_strides=[8]
        ),
        semantic_head=dict(
            type='mmdet.FusedSemanticHead',
            num_ins=3,
            fusion_level=1,
            num_convs=1,
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=5,
        ),
    )
    return cfg
