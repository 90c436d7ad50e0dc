# Copyright (c) mmdiffkd contributors.
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from mmdiffkd.visualization import DetectionView, Report, read_measured
from mmdiffkd.visualization.panels import draw_levels, smooth

TOOL = (
    Path(__file__).parents[2]
    / 'tools'
    / 'analysis_tools'
    / 'quickstart_report.py'
)


def make_report(work, data):
    view = DetectionView(data)
    return Report(
        view,
        *(
            read_measured(view, work / name, work / 'test' / name)
            for name in ('teacher', 'student', 'diffkd')
        ),
    )


def spy_on_figure(monkeypatch):
    """Keep the figure that is drawn, to look at its panels."""
    figures = []
    monkeypatch.setattr(plt, 'close', figures.append)
    return figures


def test_report_has_every_panel_and_image(quickstart, tmp_path, monkeypatch):
    figures = spy_on_figure(monkeypatch)
    out = tmp_path / 'report.png'
    make_report(*quickstart).draw(out, 'headline', 'note', count=3)
    assert out.read_bytes().startswith(b'\x89PNG')
    (figure,) = figures
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert [t for t in titles if t] == [
        'AP on the test images',
        'AP on the validation images',
        'Task loss: loss_cls',
        'Task loss: loss_bbox',
        'KD loss: denoised student to teacher',
        'Diffusion loss (loss_diff)',
        'Noise matching: mean gamma',
    ]
    # Three rows of three images; what was found is counted below.
    counts = [axes.get_xlabel() for axes in figure.axes]
    assert counts.count('1 of 1 found, 0 false') == 6
    pixels = plt.imread(out)
    assert pixels.shape[1] == 1600
    assert 0.5 < pixels[..., :3].mean() < 0.99


def test_bars_show_the_measured_ap(quickstart, tmp_path, monkeypatch):
    figures = spy_on_figure(monkeypatch)
    make_report(*quickstart).draw(tmp_path / 'r.png', 'a', 'b', count=1)
    bars = figures[0].axes[0].patches
    heights = [round(bar.get_height(), 6) for bar in bars]
    assert heights == [50, 60, 40, 20, 30, 10, 30, 40, 20]


def test_loss_diff_is_compared_with_predicting_nothing():
    axes = plt.figure().add_subplot()
    steps = np.arange(1, 30)
    draw_levels(axes, 'loss_diff', {'p3': (steps, 2.0 / steps)})
    dashed = [
        line
        for line in axes.lines
        if line.get_linestyle() == '--' and set(line.get_ydata()) == {1}
    ]
    assert len(dashed) == 1
    assert 'predicting nothing' in [text.get_text() for text in axes.texts]
    assert axes.get_yscale() == 'log'
    plt.close(axes.figure)


def test_loss_that_touches_zero_is_not_drawn_on_a_log_scale():
    axes = plt.figure().add_subplot()
    curve = np.arange(3), np.array([1.0, 0.0, 2.0])
    draw_levels(axes, 'loss_kd', {'p3': curve})
    assert axes.get_yscale() == 'linear'
    plt.close(axes.figure)


@pytest.mark.parametrize('count', [1, 2, 4, 50])
def test_smooth_keeps_length_and_constants(count):
    np.testing.assert_allclose(smooth(np.full(count, 3.0)), 3)


def test_smooth_is_the_centred_mean():
    values = np.random.default_rng(0).normal(size=30)
    np.testing.assert_allclose(smooth(values)[10], values[6:15].mean())


def run_tool(*args):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, args)],
        capture_output=True,
        text=True,
    )


def test_tool_draws_and_prints_the_numbers(quickstart):
    work, data = quickstart
    result = run_tool(work, '--data', data, '--images', 2)
    assert result.returncode == 0, result.stderr
    assert (work / 'report.png').stat().st_size > 20_000
    numbers = json.loads((work / 'report.json').read_text())
    assert numbers['student distilled']['metrics']['coco/bbox_mAP'] == 0.3
    assert numbers['teacher']['iterations'] == 40
    assert numbers['teacher']['seconds_per_iteration'] == 0.25
    (row,) = [
        line for line in result.stdout.splitlines() if 'student alone' in line
    ]
    assert row.split() == [
        'student',
        'alone',
        '20.0',
        '30.0',
        '10.0',
        '40',
        '0.250',
    ]


def test_tool_names_the_run_that_is_missing(tmp_path):
    result = run_tool(tmp_path / 'nothing')
    assert result.returncode == 2
    assert result.stderr.startswith('error: ')
    assert 'nothing/teacher' in result.stderr
    assert 'Traceback' not in result.stderr


def test_detector_that_finds_nothing_has_ap_zero(
    quickstart, tmp_path, monkeypatch
):
    """MMDetection then writes no metric and no detection at all."""
    figures = spy_on_figure(monkeypatch)
    work, data = quickstart
    test = work / 'test' / 'student'
    (test / '20260101_000001' / '20260101_000001.json').write_text('{}')
    (test / 'predictions.bbox.json').write_text('[]')
    log = work / 'student' / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.write_text(
        ''.join(
            line + '\n'
            for line in log.read_text().splitlines()
            if 'mAP' not in line
        )
    )
    make_report(work, data).draw(tmp_path / 'r.png', 'a', 'b', count=1)
    bars, curves = figures[0].axes[:2]
    heights = [bar.get_height() for bar in bars.patches]
    assert heights[3:6] == [0, 0, 0]
    # The others keep their colours.
    colours = [to_rgba(line.get_color()) for line in curves.lines]
    assert colours == [bars.patches[i].get_facecolor() for i in (0, 6)]
