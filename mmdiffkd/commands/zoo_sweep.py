# Copyright (c) mmdiffkd contributors.
"""Try every stock model as a student: config, step, export, stock library.

Each model of MMDetection, MMSegmentation and MMPretrain is trained for a step
by its own library first; those that can be are the base set. Each of them then
is the student of a larger model of its family: `make-config`, one training
step on random images of a small size, export, and the stock library opens the
export. Nothing is downloaded. A sweep that is stopped goes on where it was.
"""

import argparse
import os
import os.path as osp
import signal
import sys

from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'words',
        nargs='*',
        help='only configs whose name has one of these words in it, such as '
        'mmdet::gfl/; default: all',
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/zoo_sweep',
        help='folder of results.jsonl; default: %(default)s',
    )
    parser.add_argument(
        '--method', default='diffkd', help='default: %(default)s'
    )
    parser.add_argument(
        '--libraries',
        nargs='+',
        choices=['mmdet', 'mmseg', 'mmpretrain'],
        default=['mmdet', 'mmseg', 'mmpretrain'],
        help='default: all three',
    )
    parser.add_argument(
        '--base-only',
        action='store_true',
        help='only find out what the libraries themselves can train',
    )
    parser.add_argument(
        '--workers', type=int, default=2, help='default: %(default)s'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=180,
        help='time limit of a trial; default: %(default)s',
    )
    parser.add_argument(
        '--gib',
        type=float,
        default=6,
        help='memory limit of a trial; default: %(default)s',
    )
    parser.add_argument(
        '--retry-failed',
        action='store_true',
        help='make pairs that failed again',
    )
    parser.add_argument(
        '--known',
        metavar='FOLDER',
        help='do not repeat what passed in an earlier sweep, nor what is not '
        'of the base set, by the results that --table wrote into this folder',
    )
    parser.add_argument(
        '--table',
        metavar='FOLDER',
        help='sweep nothing; write compatibility.md, and results below '
        'compatibility/, into this folder',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    # Before PyTorch is imported: processes are forked from this one, and
    # threads of its own would not be there in them.
    os.environ['OMP_NUM_THREADS'] = os.environ['MKL_NUM_THREADS'] = '1'
    from mmdiffkd.engine.study.ledger import Ledger
    from mmdiffkd.engine.study.processes import hold
    from mmdiffkd.engine.sweep import offline
    from mmdiffkd.engine.sweep.conduct import Plan, conduct, prepare
    from mmdiffkd.engine.sweep.known import take_over
    from mmdiffkd.engine.sweep.limited import Limits
    from mmdiffkd.engine.sweep.table import write

    ledger = Ledger(osp.join(args.work_dir, 'results.jsonl'))
    if args.table:
        print(write(ledger, args.table, args.method))
        return
    plan = Plan(
        method=args.method,
        libraries=args.libraries,
        pairs=not args.base_only,
        words=args.words,
        limits=Limits(args.seconds, args.gib),
        workers=args.workers,
        retry_failed=args.retry_failed,
    )
    lock = hold(args.work_dir)
    # The trials are this process's to end, however it is told to.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        offline.stay_offline()
        offline.import_all()
        offline.be_quiet()
        if args.known:
            prepare(plan, ledger)
            count = take_over(args.known, ledger, args.method)
            print(f'{count} models are known from {args.known}')
        conduct(plan, ledger)
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here')
        sys.exit(130)
    finally:
        lock.close()
