# Copyright (c) mmdiffkd contributors.
"""A wrong label file of a classification set, found before training."""

import pytest
from mmengine.config import Config

from mmdiffkd.engine.checks.settings import check_data
from mmdiffkd.utils import UserError


def config(root, text, distilled=True, **dataset):
    (root / 'ann.txt').write_text(text)
    model = dict(type='ImageClassifier', head=dict(num_classes=3))
    if distilled:
        model = dict(type='mmdiffkd.FrozenTeacherDistill', architecture=model)
    dataset = {'type': 'CustomDataset', **dataset}
    return Config(
        dict(
            default_scope='mmpretrain',
            model=model,
            train_dataloader=dict(
                dataset=dict(
                    data_root=str(root), ann_file='ann.txt', **dataset
                )
            ),
        )
    )


@pytest.mark.parametrize('kind', ['CustomDataset', 'mmpretrain.ImageNet'])
@pytest.mark.parametrize('distilled', [True, False])
def test_good_labels_pass(tmp_path, kind, distilled):
    check_data(
        config(tmp_path, 'a b.jpg 0\nc.jpg 2\n', distilled, type=kind),
        ('train',),
    )


@pytest.mark.parametrize('label', ['3', '-1', '1000'])
def test_label_without_a_class(tmp_path, label):
    cfg = config(tmp_path, f'a.jpg 0\nb.jpg {label}\n')
    with pytest.raises(
        UserError,
        match=f"line 2 of .*ann.txt' has the label "
        f'{label}, but the student has 3 classes',
    ):
        check_data(cfg, ('train',))


@pytest.mark.parametrize('line', ['b.jpg cat', 'b.jpg', '', 'b.jpg,1'])
def test_line_that_is_no_image_and_label(tmp_path, line):
    cfg = config(tmp_path, f'a.jpg 0\n{line}\nc.jpg 1\n')
    with pytest.raises(UserError, match='line 2 of .*number of its class'):
        check_data(cfg, ('train',))


def test_files_without_labels_and_of_other_formats_are_left_alone(tmp_path):
    check_data(config(tmp_path, 'a.jpg\n', with_label=False), ('train',))
    check_data(config(tmp_path, '{}', type='BaseDataset'), ('train',))
