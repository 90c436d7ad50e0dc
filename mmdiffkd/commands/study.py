# Copyright (c) mmdiffkd contributors.
"""Compare distillation methods: tune each alike, then run each on other seeds.

STUDY is a short Python file, see docs/en/studies. Every method gets the same
number of trials, tuned on the validation images with tuning seeds; then every
method, at its best, is run on other seeds and on the test images. A study that
is stopped goes on where it was; no finished run is made again.
"""

import argparse
import os.path as osp
import signal
import sys

from mmdiffkd.engine.study import (
    Interrupted,
    Ledger,
    Tools,
    conduct,
    load_study,
    tables,
)
from mmdiffkd.engine.study.picture import draw
from mmdiffkd.engine.study.processes import hold
from mmdiffkd.utils import UserError
from mmdiffkd.utils.cli import (
    add_traceback,
    check_new_file,
    check_picture,
    command_line,
)


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('study', help='study file')
    parser.add_argument(
        '--work-dir',
        help='folder for runs and trials; default: work_dirs/studies/STUDY',
    )
    parser.add_argument(
        '--results',
        help='file of results, a JSON line a run; default: results.jsonl in '
        'the work dir',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=2,
        help='runs at a time, of one thread each; default: %(default)s',
    )
    parser.add_argument(
        '--tables',
        action='store_true',
        help='only print the tables of the results so far',
    )
    parser.add_argument(
        '--picture', metavar='FILE', help='also draw the results, e.g. a .png'
    )
    parser.add_argument(
        '--retry-failed',
        action='store_true',
        help='make runs that failed again; a failed trial stays one',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.workers < 1:
        raise UserError(f'--workers must be at least 1, got {args.workers}')
    if args.picture:
        check_picture('--picture', args.picture)
        check_new_file('--picture', args.picture, new=False)
    study = load_study(args.study)
    work_dir = args.work_dir or osp.join('work_dirs/studies', study.name)
    path = args.results or osp.join(work_dir, 'results.jsonl')
    ledger = Ledger(path, with_failed=not args.retry_failed)
    failures = []
    if not args.tables:
        tools = Tools()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: tools.stop())
        lock = hold(work_dir)
        try:
            failures = conduct(study, ledger, work_dir, tools, args.workers)
        except Interrupted:
            print('stopped; the same command goes on from here')
            sys.exit(130)
        finally:
            lock.close()
    print(tables(study, ledger))
    if args.picture and not draw(study, ledger, args.picture):
        print('no results to draw yet')
    for failure in failures:
        print(f'not done: {failure}', file=sys.stderr)
    if failures:
        sys.exit(1)
