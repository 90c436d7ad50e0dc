# Copyright (c) mmdiffkd contributors.
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import HistoryBuffer

from mmdiffkd import compat


def python(code):
    """Run code in a fresh interpreter and return its output."""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


def test_mmrazor_imports_after_us_and_silently():
    output = python(
        'import mmdiffkd\n'
        'from mmrazor.models import ConfigurableDistiller\n'
        'print(ConfigurableDistiller.__name__)'
    )
    assert output == 'ConfigurableDistiller'


@pytest.mark.skipif(
    hasattr(torch.ao.quantization.fuser_method_mappings, 'reverse2'),
    reason='this PyTorch needs no shim',
)
def test_mmrazor_does_not_import_without_us():
    """If this fails, the shim is no longer needed."""
    assert 'refused' in python(
        'try:\n    import mmrazor.models\n'
        'except ImportError:\n    print("refused")'
    )


def test_versions_are_as_they_were():
    assert (
        python(
            'import mmcv, torch\n'
            'before = mmcv.__version__, torch.__version__\n'
            'import mmdiffkd, mmrazor\n'
            'from mmengine.utils import digit_version\n'
            'assert mmrazor.digit_version is digit_version\n'
            'assert (mmcv.__version__, torch.__version__) == before'
        )
        == ''
    )


def test_a_newer_mmcv_is_accepted():
    assert (
        python(
            'import mmcv\nmmcv.__version__ = "2.3.6"\n'
            'import mmdiffkd, mmrazor.registry\n'
            'print(mmcv.__version__)'
        )
        == '2.3.6'
    )


def test_setup_is_applied_once(monkeypatch):
    monkeypatch.setattr(
        compat, '_mmrazor_import', lambda: pytest.fail('applied again')
    )
    compat.setup()


def test_a_fork_answers_for_its_module(monkeypatch):
    monkeypatch.setattr(
        compat, '_has_distribution', lambda name: name != 'mmsegmentation'
    )
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'mmsegmentation')
    # Stands for an installed module that no distribution is named after.
    monkeypatch.setattr(
        compat.importlib.util,
        'find_spec',
        lambda name: object() if name == 'mmseg' else None,
    )
    compat._config_packages()
    assert MODULE2PACKAGE['mmseg'] == 'mmseg'
    assert MODULE2PACKAGE['mmaction'] == 'mmaction2', 'absent: left alone'


def test_configs_are_found_without_pkg_resources():
    assert (
        python(
            'import sys\nsys.modules["pkg_resources"] = None\n'
            'import importlib.util as u\nfind = u.find_spec\n'
            'u.find_spec = lambda n, *a: None if n == "pkg_resources" '
            'else find(n, *a)\n'
            'import mmdiffkd\nfrom mmengine.config import Config\n'
            "cfg = Config.fromstring('_base_ = "
            '"mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"\', ".py")\n'
            'from mmengine.hub import get_config\n'
            'get_config("mmdet::retinanet/retinanet_r18_fpn_1x_coco.py")\n'
            'print(cfg.model.type)'
        )
        == 'RetinaNet'
    )


def test_own_configs_are_bases():
    cfg = Config.fromstring(
        "_base_ = 'mmdiffkd::det/diffkd_retina_r101_r50.py'", '.py'
    )
    assert cfg.model.type == 'mmdiffkd.FrozenTeacherDistill'


def test_training_logs_load_with_weights_only(tmp_path):
    path = tmp_path / 'checkpoint.pth'
    buffer = HistoryBuffer([1.0, 2.0, 4.0], [1, 1, 1])
    content = dict(
        log=dict(loss=buffer),
        scalar=np.float32(3.5),
        array=np.arange(3, dtype=np.int64),
    )
    torch.save(content, path)
    # A fresh process, where no log has been kept yet.
    output = python(
        'import mmdiffkd, torch\n'
        f'c = torch.load(r"{path}", weights_only=True)\n'
        'print(c["log"]["loss"].mean(2), c["scalar"], c["array"].tolist())'
    )
    assert output == '3.0 3.5 [0, 1, 2]'


class Evil:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__subclasses__')


def test_weights_only_still_refuses_everything_else(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save(dict(a=Evil()), path)
    with pytest.raises(Exception, match='not part of a training log'):
        torch.load(path, weights_only=True)


def test_a_start_lays_its_config_out_once_and_reads_metafiles_once():
    """As text of the same letters; stock MMEngine works each time."""
    code = (
        'import mmengine.config.config as config, mmengine.config.utils as u\n'
        'calls = dict(load=[], FormatCode=[])\n'
        'def counted(module, name):\n'
        '    original = getattr(module, name)\n'
        '    def count(*args, **kwargs):\n'
        '        calls[name].append(args[0])\n'
        '        return original(*args, **kwargs)\n'
        '    setattr(module, name, count)\n'
        "counted(u, 'load'); counted(config, 'FormatCode')\n"
        'plain = config.FormatCode\n'
        'import mmdiffkd\n'
        "files = ['mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',\n"
        "         'mmdet::gfl/gfl_r50_fpn_1x_coco.py']\n"
        'from mmengine.hub import get_config\n'
        'cfgs = [get_config(f) for f in files * 2]\n'
        'texts = [c.pretty_text for c in cfgs]\n'
        'assert texts[:2] == texts[2:]\n'
        'config.FormatCode = plain\n'
        'assert texts[0] == cfgs[0].pretty_text\n'
        "print(len(calls['load']) == len(set(calls['load'])) > 50,\n"
        "      len(calls['FormatCode']))"
    )
    assert python(code) == 'True 3'


def test_what_is_kept_is_bounded_and_told_apart():
    calls = []
    kept = compat._kept(lambda *a, **k: calls.append((a, k)) or len(calls), 2)
    assert [kept('a'), kept('a'), kept('b', x=1), kept('b', x=2)] == [
        1,
        1,
        2,
        3,
    ]
    assert kept('b', x=1) == 2 and kept('a') == 4
