# Copyright (c) mmdiffkd contributors.
"""An estimate as tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from .costs import LEFT

KINDS = ('weights', 'gradients', 'optimizer', 'features')
HEADS = ('weights', 'grads', 'optim.', 'features')


def tables(estimate: Mapping[str, Any]) -> RenderableType:
    """Show an estimate.

    Args:
        estimate (Mapping): From :func:`~.costs.estimate`.

    Returns:
        RenderableType: To print on a console of rich.
    """
    return Group(*_parts_of(estimate))


def _parts_of(estimate: Mapping[str, Any]) -> Iterator[RenderableType]:
    height, width = estimate['input_size']
    yield (
        f'One training step, {estimate["batch_size"]} x {height} x {width}, '
        'counted without a GPU. GMAC: 1e9 multiply-adds; memory in MiB; '
        'distiller: connectors and distances'
    )
    yield _by_part(estimate)
    yield _by_setting(estimate)
    share = f'{LEFT:.0%}'
    memory = f'{estimate["gpu_memory"]:g} GiB'
    yield (
        f'peak: all tensors that live at the worst moment. in {memory}: '
        f'images of the largest batch, which leaves {share} of the memory to '
        'CUDA, cuDNN and the allocator, which are not counted.'
    )
    if 'times_floor' in estimate:
        yield (
            'floor: the student, and the teacher up to its last record; this '
            f'step is {estimate["times_floor"]:.2f} times its multiply-adds.'
        )
    for name, why in estimate['run_for_real'].items():
        yield f'run on random numbers, as it needs values: {name} ({why})'
    for setting in estimate['not_counted']:
        yield f'not counted: {setting}'


def _by_part(estimate: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column('part', no_wrap=True)
    for name in ('param., M', 'GMAC', 'backward', *HEADS, 'peak'):
        table.add_column(name, justify='right', no_wrap=True)
    total = [0.0] * 8
    for name, part in estimate['parts'].items():
        memory = [part['peak'][kind] for kind in KINDS]
        numbers = [
            part['parameters'] / 1e6,
            part['forward'] / 1e9,
            part['backward'] / 1e9,
            *memory,
            sum(memory),
        ]
        table.add_row(name, *_texts(numbers))
        total = [a + b for a, b in zip(total, numbers)]
    table.add_row('all', *_texts(total), style='bold')
    return table


def _texts(numbers: list[float]) -> list[str]:
    return [
        *(f'{number:.1f}' for number in numbers[:3]),
        *(f'{number:,.0f}' for number in numbers[3:]),
    ]


def _by_setting(estimate: Mapping[str, Any]) -> Table:
    memory = f'{estimate["gpu_memory"]:g} GiB'
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column('setting', no_wrap=True)
    for name in ('peak', 'an image', 'GMAC', f'in {memory}'):
        table.add_column(name, justify='right', no_wrap=True)
    table.add_column('what it changes')
    rows: dict[str, Mapping[str, Any]] = {'this config': estimate}
    rows.update(estimate.get('settings', {}))
    if 'student_alone' in estimate:
        rows['student alone'] = estimate['student_alone']
    for name, row in rows.items():
        table.add_row(
            name,
            f'{row["peak"]:,.0f}',
            f'{row["per_image"]:,.0f}',
            f'{row["multiply_adds"] / 1e9:,.0f}',
            str(row['largest_batch']),
            row.get('change', ''),
        )
    return table
