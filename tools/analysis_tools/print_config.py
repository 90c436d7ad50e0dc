#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Print a config as a run would get it, its pairs written out.

With all bases and overrides merged in, and the `pairs` of a distiller as the
recorders, connectors, losses and mappings that they stand for.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

from mmengine.config import Config  # noqa: E402

from mmdiffkd.models.distillers.pairs import expand_distiller  # noqa: E402
from mmdiffkd.utils.cli import add_traceback, command_line  # noqa: E402
from mmdiffkd.utils.configs.loading import CfgOptions, load_config  # noqa: E402
from mmdiffkd.utils.errors import (  # noqa: E402
    UserError,
    closest,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--key', help='print this alone, such as model.distiller'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='settings of the config to override',
    )
    add_traceback(parser)
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    for owner in (cfg, cfg.get('model', {})):
        if 'pairs' in owner.get('distiller', {}):
            owner['distiller'] = expand_distiller(owner['distiller'])
    for key in args.key.split('.') if args.key else ():
        if not isinstance(cfg, (dict, Config)) or key not in cfg:
            known = list(cfg) if isinstance(cfg, (dict, Config)) else []
            raise UserError(
                f'--key {args.key}: there is no {key!r} in '
                f'{args.config}{closest(key, known)}'
            )
        cfg = cfg[key]
    if args.key:
        cfg = Config({args.key.split('.')[-1]: cfg})
    print(cfg.pretty_text)


if __name__ == '__main__':
    main()
