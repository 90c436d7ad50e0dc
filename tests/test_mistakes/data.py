# Copyright (c) mmdiffkd contributors.
"""Data that is absent or does not fit."""

import json

from .words import config, distil, options, train

CASES = {
    'absent data root': (
        train(*options('train_dataloader.dataset.data_root=/nowhere')),
        '/nowhere.*does not exist.*set train_dataloader.dataset.data_root',
    ),
    'absent annotations': (
        train(*options('train_dataloader.dataset.ann_file=no.json')),
        'no.json.*does not exist.*set train_dataloader.dataset.ann_file',
    ),
    'absent images': (
        train(*options('train_dataloader.dataset.data_prefix.img=no/')),
        'no/.*does not exist.*set train_dataloader.dataset.data_prefix.img',
    ),
    'absent annotations of the metric': (
        train(*options('val_evaluator.ann_file=/no.json')),
        '/no.json.*does not exist.*set val_evaluator.ann_file',
    ),
    'annotations that are no json': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{'a.json': '{"images": ['},
        ),
        r'a\.json',
    ),
    'annotations without images': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{
                'a.json': json.dumps(
                    dict(images=[], annotations=[], categories=[])
                )
            },
        ),
        'no image',
    ),
    'images that are missing': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{'i/x.txt': ''},
        ),
        r'i/\d.png',
    ),
    'more classes than the model has': (
        distil(*options('model.architecture.bbox_head.num_classes=1')),
        '2 classes.*num_classes',
    ),
    'images that are text': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{f'i/{i}.png': 'no image' for i in range(8)},
        ),
        r'i/\d.png.*no image',
    ),
    'images that are empty': (
        train(
            *options('train_dataloader.dataset.data_prefix.img={tmp}/i'),
            **{f'i/{i}.png': '' for i in range(8)},
        ),
        r'i/\d.png.*empty',
    ),
    'annotations that are a list': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{'a.json': '[1]'},
        ),
        r'CocoDataset of .*a\.json',
    ),
    'annotations that are a folder': (
        train(*options('train_dataloader.dataset.ann_file={tmp}')),
        'directory',
    ),
    'annotations without boxes': (
        train(
            *options('train_dataloader.dataset.ann_file={tmp}/a.json'),
            **{
                'a.json': json.dumps(
                    dict(
                        images=[
                            dict(id=0, file_name='0.png', height=64, width=64)
                        ],
                        annotations=[
                            dict(
                                id=1,
                                image_id=0,
                                category_id=1,
                                area=9,
                                iscrowd=0,
                            )
                        ],
                        categories=[dict(id=1, name='red')],
                    )
                )
            },
        ),
        'bbox',
    ),
    'pipeline that packs nothing': (
        config(
            'train_dataloader = dict(dataset=dict(pipeline='
            "[dict(type='LoadImageFromFile')]))"
        ),
        'inputs',
    ),
}
