# Copyright (c) mmdiffkd contributors.
"""Stands in for the commands of a study, in a fraction of a second each.

``study_stand_in.py train|test|pretrain CONFIG`` takes their arguments and
writes what they write. The result is the config's ``offset``, less the square
of the distance of option ``x`` from 0.3, plus a hundredth of the seed; the
test images give 10 more. ``rank`` is the result with the other sign. Option
``nan`` names what is NaN, ``val`` or ``test``. Kind and work dir of each call
are a line of the file $CALLS. While the file $HOLD exists, a training waits;
on SIGTERM it leaves with code 85. x above 0.9 diverges; while there is a file
``full``, the disk is full. Diffusion models are a copy of the file
``template.pth``; options that name a file need it.
"""

import itertools
import json
import math
import os
import runpy
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path


def arguments(words):
    """Values of the flags, and the options."""
    split = (
        words.index('--cfg-options')
        if '--cfg-options' in words
        else len(words)
    )
    options = dict(word.split('=', 1) for word in words[split + 1 :])
    flags = dict(itertools.pairwise(words[:split]))
    return flags, options


def wait_while_held():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(85))
    hold = Path(os.environ.get('HOLD', '/nonexistent'))
    while hold.exists():
        time.sleep(0.02)


def results(value, nan):
    return dict(score=math.nan if nan else value, rank=-value)


def main():
    kind, config, *words = sys.argv[1:]
    flags, options = arguments(words)
    folder = Path(flags['--work-dir'])
    with open(os.environ['CALLS'], 'a') as calls:
        print(kind, folder, file=calls)
    if kind == 'test':
        checkpoint = zipfile.ZipFile(words[0])
        value = json.loads(checkpoint.read('value')) + 10
        (folder / '1').mkdir(parents=True, exist_ok=True)
        text = json.dumps(results(value, options.get('nan') == 'test'))
        (folder / '1/1.json').write_text(text)
        return
    for key, value in options.items():
        if key.endswith('ckpt') and not Path(value).is_file():
            raise SystemExit(f'error: {key}: {value} does not exist')
    if (folder / 'resume_adds_nothing').exists():
        return
    if Path('full').exists():
        print('error: a checkpoint could not be written', file=sys.stderr)
        sys.exit(2)
    cfg = runpy.run_path(config)
    x = float(options.get('x', 0.0))
    (folder / '1/vis_data').mkdir(parents=True, exist_ok=True)
    iterations = int(flags.get('--iters', options.get('iters', 8)))
    rows = [
        dict(loss=1.0, time=cfg['seconds'], iter=i + 1, step=i + 1)
        for i in range(iterations)
    ]
    log = folder / '1/vis_data/scalars.json'
    log.write_text('\n'.join(map(json.dumps, rows)) + '\n')
    wait_while_held()
    if x > 0.9:
        print('error: loss is not finite at iteration 1', file=sys.stderr)
        sys.exit(2)
    if kind == 'pretrain':
        shutil.copy('template.pth', folder / 'diffusion.pth')
        return
    value = cfg['offset'] - (x - 0.3) ** 2 + 0.01 * int(flags['--seed'])
    with zipfile.ZipFile(folder / 'last.pth', 'w') as checkpoint:
        checkpoint.writestr('value', json.dumps(value))
    (folder / 'last_checkpoint').write_text(str(folder / 'last.pth'))
    with open(log, 'a') as file:
        row = results(value, options.get('nan') == 'val')
        file.write(json.dumps(dict(row, step=iterations)) + '\n')


if __name__ == '__main__':
    main()
