# Copyright (c) mmdiffkd contributors.
"""What each distiller of the shipped configs is made of, as JSON.

``distillers_7aac653.json`` was written by this script from the configs of
commit 7aac653, where every file spelled out MMRazor's dicts::

    git worktree add /tmp/before 7aac653
    PYTHONPATH=/tmp/before python \
        tests/test_models/test_distillers/pin_distillers.py /tmp/before \
        > tests/test_models/test_distillers/distillers_7aac653.json

Equal entries, such as the connectors of five levels, are stored once:
``entries`` holds them, and a distiller names them by their place.
"""

import json
import sys
from pathlib import Path

PARTS = (
    'student_recorders',
    'teacher_recorders',
    'connectors',
    'connector_forward_mappings',
    'distill_losses',
    'loss_forward_mappings',
)


class Pool:
    """A list without repetitions."""

    def __init__(self):
        self.items, self.places = [], {}

    def place(self, item):
        key = json.dumps(item)
        if key not in self.places:
            self.places[key] = len(self.items)
            self.items.append(item)
        return self.places[key]


def state(distiller):
    """Shapes of the state dict, by connector or loss, then by parameter."""
    from mmdiffkd.registry import MODELS

    shapes = {}
    for key, tensor in MODELS.build(distiller).state_dict().items():
        part, name, rest = key.split('.', 2)
        module = shapes.setdefault(f'{part}.{name}', {})
        module[rest] = list(tensor.shape)
    return shapes


def pin(root):
    from mmengine.config import Config

    import mmdiffkd  # noqa: F401  (makes `mmdiffkd::` bases readable)

    entries, modules, distillers, states = Pool(), Pool(), {}, {}
    for path in sorted(Path(root, 'configs').rglob('*.py')):
        cfg = Config.fromfile(path)
        # A pair's own is that of the model; at the top it is a template.
        distiller = cfg.get('model', cfg).get('distiller')
        if not distiller or 'distill_losses' not in distiller:
            continue
        distiller = distiller.to_dict()
        name = path.relative_to(Path(root, 'configs')).as_posix()
        distillers[name] = {
            part: {
                key: entries.place(entry)
                for key, entry in distiller[part].items()
            }
            for part in PARTS
            if distiller.get(part)
        }
        unknown = {*distiller} - {*PARTS, 'type', '_scope_'}
        distillers[name].update({key: distiller[key] for key in unknown})
        states[name] = {
            module: modules.place(shapes)
            for module, shapes in state(distiller).items()
        }
    return dict(
        entries=entries.items,
        modules=modules.items,
        distillers=distillers,
        states=states,
    )


if __name__ == '__main__':
    pinned = pin(sys.argv[1])
    print('{')
    lines = []
    for part, values in pinned.items():
        if isinstance(values, list):
            inner = [json.dumps(v) for v in values]
            brackets = '[]'
        else:
            inner = [
                f'{json.dumps(k)}: {json.dumps(v)}' for k, v in values.items()
            ]
            brackets = '{}'
        lines.append(
            f'"{part}": {brackets[0]}\n'
            + ',\n'.join(inner)
            + f'\n{brackets[1]}'
        )
    print(',\n'.join(lines) + '\n}')
