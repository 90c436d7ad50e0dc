"""`mmdiffkd benchmark` from its words to table, file and picture."""

import json
import re

import pytest
from helpers import task_toys
from mmengine.config import Config

from mmdiffkd.__main__ import main
from mmdiffkd.engine.benchmark import report

LOSSLESS = 'model.calculate_student_loss=False'
SHORT = ['--device', 'cpu', '--input-size', '64', '96', '--steps', '2']


@pytest.fixture(scope='module')
def configs(tiny, tmp_path_factory):
    """Others for the same task, and one for another."""
    folder = tmp_path_factory.mktemp('configs')
    mimic = dict(
        type='mmrazor.SingleTeacherDistill',
        architecture=Config.fromfile(tiny.student).model,
        teacher=Config.fromfile(tiny.student).model,
        distiller=dict(
            _scope_='mmrazor',
            type='ConfigurableDistiller',
            student_recorders=dict(
                n=dict(type='ModuleOutputs', source='neck')
            ),
            teacher_recorders=dict(
                n=dict(type='ModuleOutputs', source='neck')
            ),
            distill_losses=dict(loss_m=dict(type='L2Loss')),
            loss_forward_mappings=dict(
                loss_m=dict(
                    s_feature=dict(
                        recorder='n', from_student=True, data_idx=0
                    ),
                    t_feature=dict(
                        recorder='n', from_student=False, data_idx=0
                    ),
                )
            ),
        ),
    )
    cls = dict(model=task_toys.algorithm('cls'), default_scope='mmpretrain')
    for name, cfg in (
        ('mimic', dict(model=mimic, default_scope='mmdet')),
        ('cls', cls),
        (
            'unsupervised',
            dict(cls, model=dict(cls['model'], calculate_student_loss=False)),
        ),
    ):
        Config(cfg).dump(folder / f'{name}.py')
    return folder


def run(words, capsys):
    capsys.readouterr()
    main(['benchmark', *map(str, words)])
    return capsys.readouterr().out


@pytest.fixture(scope='module')
def measured(tiny, configs, tmp_path_factory):
    """Result in the file and words on the screen, of one measurement."""
    folder = tmp_path_factory.mktemp('out')
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr('mmdiffkd.engine.benchmark.measure.WARM_UP', 0)
        patch.setattr('builtins.print', lambda *text: lines.extend(text))
        main(
            [
                'benchmark',
                tiny.distill,
                '--against',
                str(configs / 'mimic.py'),
                tiny.student,
                *SHORT,
                '--json',
                str(folder / 'cost.json'),
                '--plot',
                str(folder / 'cost.png'),
            ]
        )
    result = json.loads((folder / 'cost.json').read_text())
    return result, '\n'.join(lines), folder


def test_table_and_file_agree(measured):
    result, text, _ = measured
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if len(cells := [c.strip() for c in line.split('|')][1:-1]) > 6
    }
    times = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if len(cells := [c.strip() for c in line.split('|')][1:-1]) == 6
    }
    names = ['student alone', 'floor', 'this config', 'mimic', 'student']
    assert [row['name'] for row in result['columns']] == names
    for row in result['columns']:
        found = [
            float(x) for x in re.findall(r'[\d.]+', times[row['name']][0])
        ]
        wanted = [1e3 * row['time'][k] for k in ('median', 'low', 'high')]
        assert found == pytest.approx(wanted, abs=0.51)
        assert float(times[row['name']][4].replace(',', '')) == pytest.approx(
            row['peak_memory'] / 2**20, abs=0.51
        )
        counts = [
            *(n / 1e9 for n in row['multiply_adds'].values()),
            *(n / 1e6 for n in row['parameters'].values()),
        ]
        cells = [float(cell) for cell in rows[row['name']]]
        assert cells == pytest.approx(counts, abs=0.0051)
    overhead, share = report.overhead_and_share(result)
    assert f'{share:.1%} of the multiply-adds' in text
    assert f'{overhead:.1%} of its time' in text


def test_columns_add_up(measured):
    result, _, _ = measured
    rows = {row['name']: row for row in result['columns']}
    alone, floor, this, mimic, plain = rows.values()
    assert alone['multiply_adds'] == plain['multiply_adds']
    assert alone['multiply_adds']['teacher'] == 0
    assert floor['multiply_adds']['connectors'] == 0
    assert this['multiply_adds']['connectors'] > 0
    assert mimic['multiply_adds']['connectors'] == 0  # a distance alone
    # MMRazor runs the whole teacher, we run it up to the neck.
    for unit in ('multiply_adds', 'parameters'):
        assert mimic[unit]['teacher'] > this[unit]['teacher']
        assert this[unit]['teacher'] == floor[unit]['teacher'] > 0
    peaks = [row['peak_memory'] for row in (alone, floor, this)]
    assert peaks == sorted(peaks)
    for row in rows.values():
        assert len(row['seconds']) == 2
        assert row['kernel_launches'] is row['host_syncs'] is None
    assert alone['of_student']['median'] == floor['of_floor']['median'] == 1
    assert this['of_this'] == dict(median=1.0, low=1.0, high=1.0)


def test_the_same_config_with_other_settings(tiny, capsys, monkeypatch):
    monkeypatch.setattr('mmdiffkd.engine.benchmark.measure.WARM_UP', 0)
    half = 'model.teacher_dtype=bfloat16'
    words = [tiny.distill, *SHORT, '--against-options', half]
    words += ['--against-options', 'model.skip_teacher_parts=False', half]
    text = run(words, capsys)
    names = ['teacher_dtype=bfloat16']
    names.append(f'skip_teacher_parts=False, {names[0]}')
    for name in names:
        assert text.count(f'| {name} ') == 2  # a row of each table
    with pytest.raises(SystemExit) as end:
        run([*words[:-1], 'model.teacher_dtype=int7'], capsys)
    assert end.value.code == 2
    assert 'model.teacher_dtype must be' in capsys.readouterr().err


def test_result_says_how_and_on_what(measured):
    result, text, folder = measured
    settings = result['settings']
    assert settings['size'] == [64, 96] and settings['steps'] == 2
    assert settings['batch_size'] == 2  # the config's
    assert result['machine']['processor'] in text
    assert result['machine']['torch'] in text and '2 x 64 x 96' in text
    picture = (folder / 'cost.png').read_bytes()
    assert picture.startswith(b'\x89PNG') and len(picture) > 10_000


def test_picture_has_a_bar_for_each_number(measured):
    from mmdiffkd.engine.benchmark.chart import draw

    result, _, _ = measured
    time, memory, work = draw(result).axes
    rows = result['columns'][::-1]
    assert [bar.get_width() for bar in time.patches] == pytest.approx(
        [1e3 * row['time']['median'] for row in rows]
    )
    assert [bar.get_width() for bar in memory.patches] == pytest.approx(
        [row['peak_memory'] / 2**20 for row in rows]
    )
    ends = [bar.get_x() + bar.get_width() for bar in work.patches]
    assert ends[-len(rows) :] == pytest.approx(
        [sum(row['multiply_adds'].values()) / 1e9 for row in rows]
    )


@pytest.mark.parametrize(
    'words, expected',
    [
        (['{student}'], 'is no distillation'),
        (['nothing.py'], "'nothing.py' does not exist"),
        (['mmrazor::distill/no.py'], 'mmrazor ships no config'),
        (['{distill}', '--against', '{cls}'], 'another kind of model'),
        (['{distill}', '--batch-size', '0'], '--batch-size must be at least'),
        (['{distill}', '--steps', '0'], '--steps must be at least 1'),
        (['{distill}', '--input-size', '0', '9'], '--input-size must be a'),
        (
            ['{cls}', '--input-size', '8', '8', '--batch-size', '1'],
            'Try another --input-size',  # a norm of one value
        ),
        (['{distill}', '--device', 'gpu'], '--device gpu'),
        (['{distill}', '--device', 'meta'], 'use cpu or cuda'),
        (['{distill}', '--device', 'cpu', '--amp'], '--amp needs a GPU'),
        (['{distill}', '--json', '{there}'], 'exists; replace it with'),
        (['{distill}', '--json', 'no/where.json'], 'a folder that exists'),
        (['{distill}', '--plot', 'x.txt'], 'has to end in one of'),
        (
            ['{distill}', '--plot', 'x.png', '--json', './x.png'],
            'name the same file',
        ),
        (['{unsupervised}'], 'calculate_student_loss is False'),
        (
            ['{distill}', *SHORT, '--against-options', LOSSLESS],
            'calculate_student_loss is False',
        ),
    ],
)
def test_mistakes_end_with_2(
    words, expected, tiny, configs, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / 'there.json'
    there.write_text('{}')
    places = dict(
        student=tiny.student,
        distill=tiny.distill,
        cls=configs / 'cls.py',
        there=there,
        unsupervised=configs / 'unsupervised.py',
    )
    with pytest.raises(SystemExit) as end:
        main(['benchmark', *(word.format(**places) for word in words)])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.count('error: ') == 1 and 'Traceback' not in message
    # Lines of progress may be folded, the message is not.
    assert expected in message
    assert there.read_text() == '{}'
