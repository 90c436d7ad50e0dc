#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Open an exported student in stock MMDetection and compare its detections.

Imports nothing of mmdiffkd: what works here works for a user without it.
"""
import argparse
import json
import sys
from pathlib import Path

from mmdet.apis import DetInferencer


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoint', help='exported student')
    parser.add_argument(
        '--annotations',
        required=True,
        type=Path,
        help='COCO annotations that list the images')
    parser.add_argument(
        '--images', required=True, type=Path, help='folder of the images')
    parser.add_argument(
        '--expect',
        required=True,
        type=Path,
        help='detections of the same student, as CocoMetric writes them '
        '(*.bbox.json)')
    parser.add_argument(
        '--count',
        type=int,
        default=20,
        help='images to look at (default: 20)')
    parser.add_argument(
        '--score',
        type=float,
        default=0.1,
        help='least score of the detections compared (default: 0.1)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    images = json.loads(args.annotations.read_text())['images'][:args.count]
    # The checkpoint alone: the student's config is inside.
    inferencer = DetInferencer(
        weights=args.checkpoint, device='cpu', show_progress=False)
    results = inferencer(
        [str(args.images / image['file_name']) for image in images],
        no_save_vis=True)['predictions']
    expected = json.loads(args.expect.read_text())
    total, apart = 0, 0.
    for image, result in zip(images, results):
        # COCO counts classes from 1.
        found = sorted((label + 1, score) for label, score in zip(
            result['labels'], result['scores']) if score >= args.score)
        wanted = sorted((row['category_id'], row['score']) for row in expected
                        if row['image_id'] == image['id']
                        and row['score'] >= args.score)
        if [label for label, _ in found] != [label for label, _ in wanted]:
            sys.exit(f'error: {args.checkpoint} finds other objects in '
                     f'{image["file_name"]} than {args.expect} says')
        total += len(found)
        apart = max([apart] + [abs(a - b) for (_, a), (_, b) in zip(
            found, wanted)])
    if apart > 1e-3:
        sys.exit(f'error: scores of {args.checkpoint} and {args.expect} are '
                 f'up to {apart:.2g} apart')
    loaded = {'mmdiffkd', 'mmrazor'} & set(sys.modules)
    assert not loaded, f'{loaded} must not be needed'
    print(f'stock DetInferencer, {len(images)} test images: ' +
          (f'the same {total} detections as in the test run, scores within '
           f'{apart:.1g}' if total else
           f'no detection of score {args.score} or more, as in the test run'))


if __name__ == '__main__':
    main()
