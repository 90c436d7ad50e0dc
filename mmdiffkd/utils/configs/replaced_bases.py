# Copyright (c) mmdiffkd contributors.
"""What stands in the place of the bases that set a key and nothing else."""

from typing import Any

P2_P6 = ['p2', 'p3', 'p4', 'p5', 'p6']
RELEASED = {'pairs.kd.connector.recipe': 'released'}
RELEASED_CLS = {
    'pairs.kd_feature.connector.recipe': 'released',
    'pairs.kd_logits.connector.recipe': 'released',
}
CLS_DIST = {
    'pairs.kd_logits.loss': dict(
        _delete_=True, type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0
    )
}
W15 = {'pairs.kd.loss.loss_weight': 15.0}
PKD = {
    'pairs.mse.loss_name': 'loss_pkd',
    'pairs.mse.loss': dict(
        _delete_=True, type='mmrazor.PKDLoss', loss_weight=1.0
    ),
}


def _attention(weight: float) -> dict[str, Any]:
    return {
        'pairs.kd.loss': dict(
            _delete_=True,
            type='mmdiffkd.AttentionMSELoss',
            loss_weight=weight,
        )
    }


def _pair(source: str, name: str, **loss: Any) -> dict[str, Any]:
    return dict(source=source, recorder_name=name, loss=loss)


#: Files of configs/_base_/distillers that are no more: the base to inherit
#: instead, and the keys of ``distiller`` to set.
REPLACED_BASES: dict[str, tuple[str, dict[str, Any]]] = {
    'cwd_cls': (
        'mse_cls',
        {
            'pairs.mse.loss_name': 'loss_cwd',
            'pairs.mse.loss': dict(
                _delete_=True,
                type='mmrazor.ChannelWiseDivergence',
                tau=1.0,
                loss_weight=1.0,
            ),
        },
    ),
    'cwd_fpn_p2_p6': ('cwd_fpn', {'pairs.cwd.outputs': P2_P6}),
    'diffkd_attention_faster_rcnn': ('diffkd_faster_rcnn', _attention(5.0)),
    'diffkd_attention_fpn': ('diffkd_fpn', _attention(5.0)),
    'diffkd_attention_reppoints': ('diffkd_reppoints', _attention(15.0)),
    'diffkd_attention_retina': ('diffkd_retina', _attention(5.0)),
    'diffkd_cls_cifar100_released': ('diffkd_cls_cifar100', RELEASED_CLS),
    'diffkd_cls_dist': ('diffkd_cls', CLS_DIST),
    'diffkd_cls_dist_cifar100': ('diffkd_cls_cifar100', CLS_DIST),
    'diffkd_cls_dist_cifar100_released': (
        'diffkd_cls_cifar100',
        {**CLS_DIST, **RELEASED_CLS},
    ),
    'diffkd_cls_dist_released': ('diffkd_cls', {**CLS_DIST, **RELEASED_CLS}),
    'diffkd_cls_released': ('diffkd_cls', RELEASED_CLS),
    'diffkd_faster_rcnn_released': ('diffkd_faster_rcnn', RELEASED),
    'diffkd_fpn_p2_p6': ('diffkd_fpn', {'pairs.kd.outputs': P2_P6}),
    'diffkd_fpn_p2_p6_released': (
        'diffkd_fpn',
        {'pairs.kd.outputs': P2_P6, **RELEASED},
    ),
    'diffkd_fpn_released': ('diffkd_fpn', RELEASED),
    'diffkd_fpn_w15': ('diffkd_fpn', W15),
    'diffkd_fpn_w15_released': ('diffkd_fpn', {**W15, **RELEASED}),
    'diffkd_reppoints_released': ('diffkd_reppoints', RELEASED),
    'diffkd_retina_released': ('diffkd_retina', RELEASED),
    'diffkd_seg_aux': (
        'diffkd_seg',
        {
            'pairs.dist_aux': dict(
                source='decode_head.conv_seg',
                recorder_name='logits',
                student=dict(
                    source='auxiliary_head.conv_seg',
                    recorder_name='aux_logits',
                ),
                loss=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=0.4),
            )
        },
    ),
    'diffkd_seg_released': ('diffkd_seg', RELEASED),
    'dist_cls_cifar100': ('dist_cls', {'pairs.dist.loss.tau': 4.0}),
    'dist_mimic_cls': (
        'mse_cls',
        {
            'pairs.dist': _pair(
                'head',
                'logits',
                type='mmdiffkd.DISTLoss',
                inter_loss_weight=2.0,
                intra_loss_weight=2.0,
                tau=1.0,
            )
        },
    ),
    'dist_faster_rcnn': ('dist_mimic_faster_rcnn', {'pairs.mimic': None}),
    'dist_retina': ('dist_mimic_retina', {'pairs.mimic': None}),
    'dist_mimic_seg': (
        'mse_seg',
        {
            'pairs.dist': _pair(
                'decode_head.conv_seg',
                'logits',
                type='mmdiffkd.DISTLoss',
                inter_loss_weight=1.0,
                intra_loss_weight=1.0,
                tau=1.0,
                loss_weight=1.0,
            )
        },
    ),
    'dkd_cls_cifar100': (
        'dkd_cls',
        {'pairs.dkd.loss.tau': 4.0, 'pairs.dkd.loss.beta': 2.0},
    ),
    'dskd_cls_cifar100': (
        'dskd_cls',
        {
            'pairs.dskd_feature.connector.student_channels': 64,
            'pairs.dskd_feature.connector.teacher_channels': 64,
            'pairs.dskd_feature.loss.channels': 64,
        },
    ),
    'kd_faster_rcnn': (
        'dist_mimic_faster_rcnn',
        {
            'pairs.mimic': None,
            'pairs.dist.loss_name': 'loss_kd',
            'pairs.dist.loss': dict(
                _delete_=True,
                type='mmdiffkd.KLDivergence',
                tau=1.0,
                loss_weight=1.0,
            ),
        },
    ),
    'mimic_fpn_p2_p6': ('mimic_fpn', {'pairs.mimic.outputs': P2_P6}),
    'mimic_tuned_fpn_p2_p6': (
        'mimic_tuned_fpn',
        {'pairs.kd.outputs': P2_P6},
    ),
    'pkd_cls': ('mse_cls', PKD),
    'pkd_fpn_p2_p6': (
        'pkd_fpn',
        {
            'pairs.pkd.outputs': P2_P6,
            'pairs.pkd.levels': P2_P6[:4],
            'pairs.pkd.loss.loss_weight': 6.0,
        },
    ),
    'pkd_seg': ('mse_seg', PKD),
}


def replacement(name: str) -> str | None:
    """Say what to write in the place of a base that is no more.

    Args:
        name (str): Name of the file in ``configs/_base_/distillers``,
            without ``.py``.

    Returns:
        str | None: None if there was no such base.
    """
    if name not in REPLACED_BASES:
        return None
    base, keys = REPLACED_BASES[name]
    settings = ', '.join(f'{key}={value!r}' for key, value in keys.items())
    return f'inherit {base}.py, and in distiller set {settings}'
