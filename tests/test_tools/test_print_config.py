# Copyright (c) mmdiffkd contributors.
"""The tool that prints configs shows what pairs stand for."""

from mmengine.config import Config

SCRIPT = 'analysis_tools/print_config.py'


def test_pairs_are_written_out(tool, checkout, tmp_path):
    """And what is printed is a config that stands for the same."""
    result = tool(
        SCRIPT,
        checkout / 'configs/det/diffkd_retina_r101_r50.py',
        '--cfg-options',
        'model.distiller.pairs.kd.levels=[p4,p5]',
    )
    assert result.code == 0, result.err
    (tmp_path / 'printed.py').write_text(result.out)
    cfg = Config.fromfile(tmp_path / 'printed.py')
    distiller = cfg.model.distiller
    assert 'pairs' not in distiller and 'pairs' not in cfg.distiller
    assert set(distiller.connectors) == {'diff_p4', 'diff_p5'}
    record = distiller.connector_forward_mappings.diff_p5.s_feature
    assert record == dict(recorder='fpn', from_student=True, data_idx=2)


def test_a_single_key(tool, checkout, laid_out):
    result = tool(
        SCRIPT,
        checkout / 'configs/_base_/distillers/kd_cls.py',
        '--key',
        'distiller.loss_forward_mappings',
    )
    assert result.code == 0, result.err
    assert result.out.startswith('loss_forward_mappings = dict(')


def test_a_key_that_is_not_there(mistake, checkout):
    message = mistake(
        SCRIPT,
        checkout / 'configs/_base_/distillers/kd_cls.py',
        '--key',
        'distiller.loss_forward_mapping',
    )
    assert "'loss_forward_mapping'" in message
    assert "'loss_forward_mappings'" in message


def test_a_mistake_in_a_pair(mistake, checkout):
    message = mistake(
        SCRIPT,
        checkout / 'configs/_base_/distillers/kd_cls.py',
        '--cfg-options',
        'distiller.pairs.kd.sources=head',
    )
    assert "pairs.kd has the unknown key 'sources'" in message
    assert "'source'" in message
