# Copyright (c) mmdiffkd contributors.
"""Draw how a trained distillation denoises its student's features.

For each pair of features, such as the level p3, a picture with a row for each
image: the image, the student's feature, each step of the chain, the teacher's
feature. Below each stand its cosine and its signal-to-noise ratio to the
teacher's. Means over all images are in means.png and numbers.json, to compare
one training with another, such as that of the control without diffusion.
"""

import argparse
from pathlib import Path

from mmdiffkd.engine.launch import add_reading_arguments
from mmdiffkd.utils.cli import command_line, quiet, write_numbers, writing
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.errors import UserError

FILE = 'numbers.json'


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file of the distillation')
    parser.add_argument(
        'checkpoint',
        help='of the distillation, such as epoch_12.pth; student_last.pth and '
        'exported files have no connectors',
    )
    parser.add_argument(
        'images',
        nargs='+',
        help='image files, or folders; best those that were not trained on',
    )
    parser.add_argument(
        '-o', '--out', required=True, metavar='DIR', help='folder to write'
    )
    parser.add_argument(
        '--rows',
        type=int,
        default=4,
        help='images to draw, at even distances; all are measured; default: '
        '%(default)s',
    )
    parser.add_argument(
        '--limit',
        type=int,
        help='images to measure, at even distances; default: all',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the noise that noise matching adds, the same for each image; '
        'default: %(default)s',
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ...; default: the GPU if any'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace files in the folder'
    )
    add_reading_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    out = Path(args.out)
    _check(args, out)
    import torch
    from mmengine.device import get_device
    from rich.console import Console
    from rich.progress import track

    from mmdiffkd.engine.checks.devices import check_device
    from mmdiffkd.engine.denoising.images import ImageReader, find_images
    from mmdiffkd.engine.denoising.measure import Look, Measured, as_table
    from mmdiffkd.engine.denoising.pictures import draw
    from mmdiffkd.engine.denoising.trained import load_distillation
    from mmdiffkd.visualization.task_view import spread

    device = torch.device(get_device())
    if args.device is not None:
        device = check_device(args.device)
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.images)
    if args.limit is not None:
        images = spread(images, min(args.limit, len(images)))
    drawn = set(spread(images, min(args.rows, len(images))))
    with quiet():
        model = load_distillation(cfg, args.checkpoint, device)
        look = Look(model, ImageReader(cfg), args.seed)
        measured, kept = Measured(), []
        for path in track(images, 'images', console=Console(stderr=True)):
            seen = look(path)
            measured.add(seen)
            if path in drawn:
                kept.append(seen)
    summary = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        seed=args.seed,
        **measured.summary(),
    )
    title = f'{Path(args.config).stem}, {Path(args.checkpoint).name}'
    # First, since a disk may be full.
    print(f'means over {len(images)} images:')
    print(as_table(summary))
    with writing('--out', out):
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in draw(kept, summary, title):
            figure.savefig(out / name, dpi=100)
    write_numbers('--out', out / FILE, summary)
    print(f'pictures and all numbers: {out}')
    for name, reason in look.reasons.items():
        print(f'{name} is left out: {reason}')


def _check(args: argparse.Namespace, out: Path) -> None:
    """Refuse what would be found wrong after minutes."""
    for name in ('rows', 'limit'):
        number = getattr(args, name)
        if number is not None and number < 1:
            raise UserError(f'--{name} must be at least 1, got {number}')
    if args.seed < 0:
        raise UserError(f'--seed must not be negative, got {args.seed}')
    if out.exists() and not out.is_dir():
        raise UserError(f'--out {out} is a file, and a folder is needed')
    there = [*out.glob('*.png'), *out.glob(FILE)]
    if there and not args.overwrite:
        raise UserError(
            f'{there[0]} exists: choose another folder, or replace what is '
            'in this one with --overwrite'
        )
