# Copyright (c) mmdiffkd contributors.
"""Train scripts of the host libraries, with mmdiffkd installed, elsewhere.

A wheel in an environment of its own, a config in an empty folder, the scripts
that MMDetection, MMSegmentation and MMPretrain ship, and ``mim train``: as a
user has it who never saw the checkout.
"""

import re
import sys
from pathlib import Path

import mmdet
import mmpretrain
import mmseg
import pytest
from test_packaging import NOT_SOURCES, build_wheel, install, run, shutil
from test_tools.test_stock_scripts import small_run

from mmdiffkd.datasets import make_demo_set
from mmdiffkd.models.algorithms.announcements import HOOKS

pytestmark = pytest.mark.slow

LIBRARIES = dict(det=mmdet, seg=mmseg, cls=mmpretrain)
SCHEDULES = dict(
    det=['train_cfg.max_epochs=1'],
    seg=['train_cfg.max_iters=2', 'train_cfg.val_interval=2'],
    cls=['train_cfg.max_epochs=1'],
)
TEACHERS = dict(det='retina', seg='seg', cls='cls')
# A pair as docs/en/configs.md writes it, on the demo's students.
PAIR = """
_base_ = __import__('mmdiffkd').bases({bases})
{edits}
model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::demo/digits_{teacher}_teacher.py'),
    teacher_ckpt=None,
    allow_random_teacher=True,
    distiller=_base_.distiller,
)
"""
CONFIGS = dict(
    det="_base_ = __import__('mmdiffkd').bases("
    "'mmdiffkd::demo/digits_diffkd_retina.py')\n",
    seg=PAIR.format(
        bases="'{demo}/digits_seg_student.py', "
        "'mmdiffkd::_base_/distillers/kd_seg.py'",
        edits='',
        teacher='seg',
    ),
    cls=PAIR.format(
        bases="'{demo}/digits_cls_student.py', "
        "'mmdiffkd::_base_/distillers/kd_cls.py'",
        edits='',
        teacher='cls',
    ),
)


@pytest.fixture(scope='module')
def python(checkout, tmp_path_factory):
    """An interpreter that has mmdiffkd from a wheel, and no checkout."""
    folder = tmp_path_factory.mktemp('installed')
    source = shutil.copytree(
        checkout,
        folder / 'source',
        ignore=shutil.ignore_patterns(*NOT_SOURCES),
    )
    env = folder / 'env'
    run(sys.executable, '-m', 'venv', '--without-pip', env, cwd=folder)
    (site,) = env.glob('lib/python*/site-packages')
    parent = Path(mmdet.__file__).parents[1]
    (site / 'parent.pth').write_text(
        f'import site; site.addsitedir({str(parent)!r})\n'
    )
    install(env / 'bin/python', build_wheel(source, folder / 'wheels'))
    return env / 'bin/python'


def hooks_of_the_documents(checkout):
    """The parts that reliability.md tells to write out."""
    text = (checkout / 'docs/en/reliability.md').read_text()
    blocks = re.findall(r'```python\n(.+?)```', text, re.DOTALL)
    (block,) = [b for b in blocks if 'AtomicCheckpointHook' in b]
    return block


def train(python, task, tmp_path, extra='', command=None):
    """Train for a few iterations; return the work dir and what was said."""
    counts = dict(train=4, val=2, test=2)
    data = make_demo_set(tmp_path / 'data', task, counts)[0]
    # Names without a library in a base of `mmdiffkd::` would be sought here.
    (package,) = python.parents[1].glob('lib/python*/site-packages/mmdiffkd')
    text = CONFIGS[task].replace('{demo}', f'{package}/.mim/configs/demo')
    (tmp_path / 'pair.py').write_text(text + extra)
    script = Path(LIBRARIES[task].__file__).parent / '.mim/tools/train.py'
    work_dir = tmp_path / 'work'
    output = run(
        python,
        *(command or [script]),
        'pair.py',
        '--work-dir',
        work_dir,
        '--cfg-options',
        *small_run(task, data),
        *SCHEDULES[task],
        cwd=tmp_path,
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
    )
    assert 'distill.' in output
    assert str(checkout_of_this()) not in output
    return work_dir, output


def checkout_of_this():
    return Path(__file__).resolve().parents[1]


@pytest.mark.parametrize('task', LIBRARIES)
def test_stock_script_with_the_parts_of_the_documents(
    task, python, checkout, tmp_path
):
    work_dir, output = train(
        python, task, tmp_path, extra=hooks_of_the_documents(checkout)
    )
    assert 'has RANDOM weights' in output
    assert 'distillation at iteration 1:' in output
    assert 'this run is without' not in output
    assert (work_dir / 'student_last.pth').is_file()


def test_stock_script_says_what_is_off(python, tmp_path):
    work_dir, output = train(python, 'cls', tmp_path)
    assert 'has RANDOM weights' in output
    (line,) = [x for x in output.splitlines() if 'this run is without' in x]
    for hook in HOOKS:
        assert hook in line
    assert not (work_dir / 'student_last.pth').exists()


@pytest.mark.parametrize('task', LIBRARIES)
def test_mim_train(task, python, tmp_path):
    library = LIBRARIES[task].__name__
    mim = 'from mim.cli import cli; cli()'
    work_dir, output = train(
        python, task, tmp_path, command=['-c', mim, 'train', library]
    )
    assert 'Training finished successfully' in output
    assert list(work_dir.glob('*.pth'))


def test_mim_train_of_this_package_adds_all_parts(python, tmp_path):
    mim = 'from mim.cli import cli; cli()'
    work_dir, output = train(
        python, 'cls', tmp_path, command=['-c', mim, 'train', 'mmdiffkd']
    )
    assert 'distillation at iteration 1:' in output
    assert (work_dir / 'student_last.pth').is_file()
