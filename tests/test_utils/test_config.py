# Copyright (c) mmdiffkd contributors.
from pathlib import Path

import pytest

from mmdiffkd.utils import UserError
from mmdiffkd.utils.config import load_config

CONFIG = str(
    Path(__file__).parents[2] / 'configs/det/diffkd_retina_r101_r50.py'
)


def test_an_option_on_the_distillers_template_is_an_error():
    option = {'distiller.distill_losses.loss_kd_p3.loss_weight': 1.0}
    with pytest.raises(UserError, match=r'write model\.distiller\.distill_l'):
        load_config(CONFIG, option)


def test_an_option_on_a_used_up_variable_is_a_warning():
    with pytest.warns(UserWarning, match='data_root changes a variable'):
        cfg = load_config(CONFIG, {'data_root': '/elsewhere'})
    assert cfg.train_dataloader.dataset.data_root == 'data/coco/'


def test_an_option_that_works_says_nothing(recwarn):
    cfg = load_config(
        CONFIG,
        {
            'model.distiller.distill_losses.loss_kd_p3.loss_weight': 1.0,
            'train_cfg.max_epochs': 1,
        },
    )
    assert cfg.train_cfg.max_epochs == 1
    assert not [w for w in recwarn if 'changes a variable' in str(w.message)]
