#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Open an exported student in a stock library and compare its predictions.

Imports nothing of mmdiffkd: what works here works for a user without it.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('checkpoint', help='exported student')
    parser.add_argument(
        '--task',
        choices=list(TASKS),
        default='det',
        help='what it does, and so which library opens it',
    )
    parser.add_argument(
        '--data', required=True, type=Path, help='demo set with a test split'
    )
    parser.add_argument(
        '--expect',
        required=True,
        type=Path,
        help='predictions of the same student: *.bbox.json of CocoMetric, '
        'the output_dir of IoUMetric, or the .pkl of tools/test.py --out',
    )
    parser.add_argument(
        '--count', type=int, default=20, help='images to look at'
    )
    parser.add_argument(
        '--score',
        type=float,
        default=0.1,
        help='least score of the detections compared',
    )
    return parser.parse_args()


def compare_detections(args: argparse.Namespace) -> str:
    """Open a detector from the checkpoint alone; compare its boxes."""
    from mmdet.apis import DetInferencer

    annotations = args.data / 'annotations' / 'instances_test.json'
    images = json.loads(annotations.read_text())['images'][: args.count]
    inferencer = DetInferencer(
        weights=args.checkpoint, device='cpu', show_progress=False
    )
    results = inferencer(
        [str(args.data / 'test' / image['file_name']) for image in images],
        no_save_vis=True,
    )['predictions']
    expected = json.loads(args.expect.read_text())
    total, apart = 0, 0.0
    for image, result in zip(images, results):
        # COCO counts classes from 1.
        found = sorted(
            (label + 1, score)
            for label, score in zip(result['labels'], result['scores'])
            if score >= args.score
        )
        wanted = sorted(
            (row['category_id'], row['score'])
            for row in expected
            if row['image_id'] == image['id'] and row['score'] >= args.score
        )
        if [label for label, _ in found] != [label for label, _ in wanted]:
            sys.exit(
                f'error: {args.checkpoint} finds other objects in '
                f'{image["file_name"]} than {args.expect} says'
            )
        total += len(found)
        apart = max(
            [apart] + [abs(a - b) for (_, a), (_, b) in zip(found, wanted)]
        )
    _check_scores(args, apart)
    return f'stock DetInferencer, {len(images)} test images: ' + (
        f'the same {total} detections as in the test run, scores within '
        f'{apart:.1g}'
        if total
        else f'no detection of score {args.score} or more, as in the test run'
    )


def compare_segments(args: argparse.Namespace) -> str:
    """Open a segmentor from the checkpoint alone; compare its label maps."""
    import cv2
    from mmseg.apis import MMSegInferencer

    images = sorted((args.data / 'leftImg8bit' / 'test').rglob('*.png'))
    images = images[: args.count]
    inferencer = MMSegInferencer(None, weights=args.checkpoint, device='cpu')
    apart = total = 0
    for image in images:
        found = inferencer(str(image))['predictions']
        wanted = cv2.imread(
            str(args.expect / image.name), cv2.IMREAD_UNCHANGED
        )
        apart += int((found != wanted).sum())
        total += wanted.size
    # Batches of another size are summed in another order, which can decide
    # between two classes of nearly equal score.
    if apart > 1e-4 * total:
        sys.exit(
            f'error: {args.checkpoint} gives {apart} of {total} pixels '
            f'another class than {args.expect}'
        )
    return (
        f'stock MMSegInferencer, {len(images)} test images: the same '
        f'class as in the test run for {total - apart} of {total} pixels'
    )


def compare_classes(args: argparse.Namespace) -> str:
    """Open a classifier with its own config; compare its probabilities."""
    import torch
    from mmengine.config import Config
    from mmpretrain import ImageClassificationInferencer

    with args.expect.open('rb') as file:
        expected = pickle.load(file)
    # Even distances: the images are sorted by class.
    expected = expected[:: max(1, len(expected) // args.count)][: args.count]
    # MMPretrain wants a config by itself, so take the one inside.
    text = torch.load(args.checkpoint, weights_only=True)['meta']['cfg']
    inferencer = ImageClassificationInferencer(
        Config.fromstring(text, '.py'),
        pretrained=args.checkpoint,
        device='cpu',
    )
    results = inferencer([row['img_path'] for row in expected])
    apart = max(
        abs(result['pred_scores'] - row['pred_score'].numpy()).max()
        for result, row in zip(results, expected)
    )
    _check_scores(args, apart)
    return (
        f'stock ImageClassificationInferencer, {len(results)} test '
        'images: the same probabilities as in the test run, within '
        f'{apart:.1g}'
    )


def _check_scores(args: argparse.Namespace, apart: float) -> None:
    if apart > 1e-3:
        sys.exit(
            f'error: scores of {args.checkpoint} and {args.expect} are '
            f'up to {apart:.2g} apart'
        )


TASKS = dict(det=compare_detections, seg=compare_segments, cls=compare_classes)


def main() -> None:
    args = parse_args()
    for path in (args.checkpoint, args.data, args.expect):
        if not Path(path).exists():
            sys.exit(f'error: {path} does not exist')
    message = TASKS[args.task](args)
    loaded = {'mmdiffkd', 'mmrazor'} & set(sys.modules)
    assert not loaded, f'{loaded} must not be needed'
    print(message)


if __name__ == '__main__':
    main()
