# Copyright (c) mmdiffkd contributors.
"""Write the config of a distillation from the names of two models.

Both models are built, without weights, and a dummy image shows what they
have in common. The config inherits data and schedule of the student.
"""

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mmdiffkd.pairing.drafts import METHODS
from mmdiffkd.pairing.writing import (
    PairWarning,
    check_free,
    list_modules,
    read_text,
    save,
    write_config,
)
from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'student',
        help='its config: a file, or a name such as '
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    )
    parser.add_argument('teacher', help='likewise, of the same task')
    parser.add_argument(
        '--method',
        default='diffkd',
        choices=list(METHODS),
        help='default: diffkd',
    )
    parser.add_argument(
        '--teacher-ckpt',
        metavar='FILE',
        help="file or URL of the teacher's weights; default: what the "
        'metafile of its library names',
    )
    parser.add_argument(
        '--student-ckpt',
        metavar='FILE',
        help='file or URL of weights that the student starts from; default: '
        'what its config says',
    )
    parser.add_argument(
        '-o',
        '--out',
        metavar='FILE',
        help='file to write; default: METHOD_TEACHER_STUDENT.py, here',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    parser.add_argument(
        '--list',
        action='store_true',
        help='print the modules of both models with the shapes of what they '
        'give, and write nothing',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@contextmanager
def _told() -> Iterator[None]:
    """Print what should be known of the pair, and no other warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('ignore')
        warnings.simplefilter('always', PairWarning)
        try:
            yield
        finally:
            for warning in caught:
                print(f'warning: {warning.message}')


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.list:
        with _told():
            table = list_modules(args.student, args.teacher)
        print(table)
        return
    if args.out:
        check_free(args.out, args.overwrite)
    with _told():
        written = write_config(
            args.student,
            args.teacher,
            args.method,
            args.teacher_ckpt,
            args.student_ckpt,
        )
    read_text(written)
    path = save(written, args.out, args.overwrite)
    print(written.text)
    print(f'wrote {path}; train with: mmdiffkd train {path}')
    if written.teacher_ckpt is None:
        print(
            'no metafile names a checkpoint of the teacher: set teacher_ckpt'
        )
