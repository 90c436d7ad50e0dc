# Copyright (c) mmdiffkd contributors.
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.loading import load_config

CONFIG = str(
    Path(__file__).parents[3] / 'configs/det/diffkd_retina_r101_r50.py'
)


def test_an_option_on_the_distillers_template_is_an_error():
    option = {'distiller.pairs.kd.loss.loss_weight': 1.0}
    with pytest.raises(UserError, match=r'write model\.distiller\.pairs\.kd'):
        load_config(CONFIG, option)


def test_an_option_on_a_used_up_variable_is_a_warning():
    with pytest.warns(UserWarning, match='data_root changes a variable'):
        cfg = load_config(CONFIG, {'data_root': '/elsewhere'})
    assert cfg.train_dataloader.dataset.data_root == 'data/coco/'


def test_an_option_that_works_says_nothing(recwarn):
    cfg = load_config(
        CONFIG,
        {
            'model.distiller.pairs.kd.loss.loss_weight': 1.0,
            'train_cfg.max_epochs': 1,
        },
    )
    assert cfg.train_cfg.max_epochs == 1
    assert not [w for w in recwarn if 'changes a variable' in str(w.message)]


@pytest.mark.parametrize(
    'base',
    [
        'mmdiffkd::_base_/distillers/diffkd_retina_released.py',
        '../_base_/distillers/diffkd_retina_released.py',
    ],
)
def test_a_base_that_is_no_more_names_what_replaces_it(base, tmp_path):
    (tmp_path / 'c.py').write_text(f'_base_ = [{base!r}]\n')
    with pytest.raises(
        UserError,
        match='is no more; inherit diffkd_retina.py.*pairs.kd.connector.'
        "recipe='released'",
    ):
        load_config(str(tmp_path / 'c.py'))


def test_a_base_of_that_name_of_the_users_own_is_read(tmp_path):
    (tmp_path / '_base_/distillers').mkdir(parents=True)
    own = tmp_path / '_base_/distillers/diffkd_retina_released.py'
    own.write_text('x = 1\n')
    (tmp_path / 'c.py').write_text(
        "_base_ = ['_base_/distillers/diffkd_retina_released.py']\n"
    )
    assert load_config(str(tmp_path / 'c.py')).x == 1


def test_parts_that_a_base_no_longer_has_name_the_pairs(tmp_path):
    (tmp_path / 'c.py').write_text(
        "_base_ = ['mmdiffkd::_base_/distillers/diffkd_fpn.py']\n"
        '_base_.distiller.connectors.diff_p3.update(student_channels=64)\n'
    )
    with pytest.raises(UserError, match=r'c.py, line 2.*pairs\.NAME\.conn'):
        load_config(str(tmp_path / 'c.py'))


def test_a_variable_of_the_environment_is_told_once(
    tmp_path, monkeypatch, caplog
):
    """MMEngine tells it for each config that names it."""
    monkeypatch.setenv('PLACE', str(tmp_path / 'first'))
    for name in 'ab':
        (tmp_path / f'{name}.py').write_text("place = '{{$PLACE:}}'\n")
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        for name in 'aab':
            cfg = load_config(str(tmp_path / f'{name}.py'))
            assert cfg.place == str(tmp_path / 'first')
        monkeypatch.setenv('PLACE', str(tmp_path / 'second'))
        load_config(str(tmp_path / 'a.py'))
    finally:
        logger.removeHandler(caplog.handler)
    told = [r.getMessage() for r in caplog.records if 'PLACE' in r.message]
    assert [str(tmp_path / 'first') in line for line in told] == [True, False]
