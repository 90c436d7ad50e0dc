# Copyright (c) mmdiffkd contributors.
import json

import cv2
import numpy as np
import pytest


def write_log(work_dir, rows, stamp='20260101_000000'):
    folder = work_dir / stamp / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text(
        ''.join(json.dumps(row) + '\n' for row in rows)
    )


def training_rows(prefix='', levels=(), metric='coco/bbox_mAP'):
    """Rows as MMEngine writes them: 40 iterations, validated after 20."""
    rows = []
    for step in range(5, 45, 5):
        row = {
            'loss': 3 / step,
            f'{prefix}loss_cls': 2 / step,
            f'{prefix}loss_bbox': 1 / step,
            'time': 0.25,
            'epoch': 1 + (step > 20),
            'iter': step,
            'step': step,
        }
        for i, level in enumerate(levels):
            row[f'distill.loss_kd_{level}'] = 10 / step + i
            row[f'distill.diff_{level}.loss_diff'] = 1.5 - step / 50
            row[f'distill.diff_{level}.gamma_mean'] = 0.5 + i / 10
        rows.append(row)
        if step % 20 == 0:
            rows.append({metric: step / 100, 'step': step // 20})
    return rows


@pytest.fixture
def quickstart(tmp_path):
    """A folder as the quickstart leaves it, with three test images."""
    data = tmp_path / 'data'
    (data / 'annotations').mkdir(parents=True)
    (data / 'test').mkdir()
    images, annotations, found = [], [], []
    for image_id in (1, 2, 3):
        name = f'{image_id:06d}.jpg'
        pixels = np.full((40, 60, 3), 80 * image_id, np.uint8)
        cv2.imwrite(str(data / 'test' / name), pixels)
        images.append(dict(id=image_id, file_name=name, height=40, width=60))
        row = dict(image_id=image_id, category_id=1, bbox=[5, 5, 20, 30])
        annotations.append(dict(row, id=image_id, area=600, iscrowd=0))
        found.append(dict(row, score=0.9))
    (data / 'annotations' / 'instances_test.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='one')],
            )
        )
    )
    work = tmp_path / 'work'
    for name, prefix, levels, ap in (
        ('teacher', '', (), 0.5),
        ('student', '', (), 0.2),
        ('diffkd', 'student.', ('p3', 'p4'), 0.3),
    ):
        write_log(work / name, training_rows(prefix, levels))
        test = work / 'test' / name / '20260101_000001'
        test.mkdir(parents=True)
        (test / '20260101_000001.json').write_text(
            json.dumps(
                {
                    'coco/bbox_mAP': ap,
                    'coco/bbox_mAP_50': ap + 0.1,
                    'coco/bbox_mAP_75': ap - 0.1,
                }
            )
        )
        (work / 'test' / name / 'predictions.bbox.json').write_text(
            json.dumps(found)
        )
    return work, data
