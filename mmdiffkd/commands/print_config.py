# Copyright (c) mmdiffkd contributors.
"""Print a config as a run would get it, its pairs written out.

With all bases and overrides merged in, and the `pairs` of a distiller as the
recorders, connectors, losses and mappings that they stand for.
"""

import argparse

from mmengine.config import Config

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.utils.configs.loading import CfgOptions, load_config
from mmdiffkd.utils.errors import (
    UserError,
    closest,
)


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
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
