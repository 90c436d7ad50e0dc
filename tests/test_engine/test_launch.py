# Copyright (c) mmdiffkd contributors.
"""From arguments to a config: resume, work dir, processes."""

import os

import pytest
import torch
from mmengine.config import Config

from mmdiffkd.engine import launch, process_group
from mmdiffkd.utils import UserError


@pytest.fixture
def run_dir(tmp_path):
    """A work dir with two checkpoints, the note naming the second."""
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        torch.save({}, tmp_path / name)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    return tmp_path


def test_work_dir_from_command_line_then_config_then_name():
    cfg = Config(dict(work_dir='of_config'))
    launch.set_work_dir(cfg, 'configs/a_b.py', 'of_command_line')
    assert cfg.work_dir == 'of_command_line'
    cfg = Config(dict(work_dir='of_config'))
    launch.set_work_dir(cfg, 'configs/a_b.py', None)
    assert cfg.work_dir == 'of_config'
    cfg = Config(dict())
    launch.set_work_dir(cfg, 'configs/a_b.py', None)
    assert cfg.work_dir == './work_dirs/a_b'


def test_config_decides_about_resuming_when_the_command_line_does_not():
    cfg = Config(dict(resume=True, load_from='x.pth', work_dir='w'))
    launch.set_resume(cfg, None)
    assert cfg.resume is True and cfg.load_from == 'x.pth'


def test_auto_resume_takes_the_latest(run_dir):
    cfg = Config(dict(work_dir=str(run_dir)))
    launch.set_resume(cfg, 'auto')
    assert cfg.resume is True
    assert cfg.load_from == str(run_dir / 'epoch_2.pth')


def test_auto_resume_in_a_folder_that_was_moved(run_dir):
    (run_dir / 'last_checkpoint').write_text('/old/place/epoch_1.pth')
    cfg = Config(dict(work_dir=str(run_dir)))
    launch.set_resume(cfg, 'auto')
    assert cfg.load_from == str(run_dir / 'epoch_1.pth')


def test_auto_resume_of_a_first_run_keeps_its_initial_weights(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path / 'new'), load_from='init.pth'))
    launch.set_resume(cfg, 'auto')
    assert cfg.resume is False and cfg.load_from == 'init.pth'


def test_resume_from_a_named_file(run_dir):
    cfg = Config(dict(work_dir='elsewhere'))
    launch.set_resume(cfg, str(run_dir / 'epoch_1.pth'))
    assert cfg.resume is True
    assert cfg.load_from == str(run_dir / 'epoch_1.pth')


def test_auto_scale_lr_is_enabled_where_the_config_knows_its_batch():
    cfg = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=16)))
    launch.set_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable is True


@pytest.fixture
def environment(monkeypatch):
    """Variables that a launcher would have set; restored afterwards."""
    values = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(('SLURM_', 'MASTER_'))
    }
    values.update(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0')
    monkeypatch.setattr(os, 'environ', values)
    return values


@pytest.fixture
def groups(monkeypatch):
    """Backends of the process groups that were asked for."""
    asked = []
    monkeypatch.setattr(
        process_group.torch.distributed, 'init_process_group', asked.append
    )
    return asked


def test_several_cpu_processes_use_gloo(environment, groups, monkeypatch):
    monkeypatch.setattr(process_group, 'get_device', lambda: 'cpu')
    cfg = Config(dict())
    process_group.init_processes(cfg, 'pytorch')
    assert groups == ['gloo']
    assert cfg.model_wrapper_cfg.find_unused_parameters is False
    assert cfg.model_wrapper_cfg.device_ids is None


def test_the_users_wrapper_settings_stay(environment, groups, monkeypatch):
    monkeypatch.setattr(process_group, 'get_device', lambda: 'cpu')
    cfg = Config(
        dict(
            find_unused_parameters=True,
            model_wrapper_cfg=dict(broadcast_buffers=True),
        )
    )
    process_group.init_processes(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.find_unused_parameters is True
    assert cfg.model_wrapper_cfg.broadcast_buffers is True


def test_with_gpus_all_is_left_to_mmengine(environment, groups, monkeypatch):
    monkeypatch.setattr(process_group, 'get_device', lambda: 'cuda')
    cfg = Config(dict())
    process_group.init_processes(cfg, 'pytorch')
    assert not groups
    assert set(cfg) == {'launcher'}


def test_more_processes_than_gpus(environment, groups, monkeypatch):
    monkeypatch.setattr(process_group.torch.cuda, 'device_count', lambda: 2)
    environment['LOCAL_RANK'] = '2'
    with pytest.raises(UserError, match='process 3 .* only 2 visible'):
        process_group.init_processes(Config(dict()), 'pytorch')


def test_slurm_variables_reach_pytorch(environment, groups, monkeypatch):
    monkeypatch.setattr(process_group, 'get_device', lambda: 'cpu')
    environment.update(
        SLURM_PROCID='5',
        SLURM_NTASKS='8',
        SLURM_LOCALID='1',
        MASTER_ADDR='10.0.0.1',
    )
    process_group.init_processes(Config(dict()), 'slurm')
    assert environment['RANK'] == '5' and environment['WORLD_SIZE'] == '8'
    assert environment['LOCAL_RANK'] == '1'
    assert environment['MASTER_PORT'] == '29500'


def test_both_spellings_of_local_rank():
    import argparse

    parser = argparse.ArgumentParser()
    launch.add_common_arguments(parser)
    for spelling in ('--local_rank', '--local-rank'):
        assert parser.parse_args([f'{spelling}=3']).local_rank == 3


@pytest.mark.parametrize('resume', [None, 'epoch_1.pth'])
def test_a_requeued_job_goes_on_by_itself(run_dir, environment, resume):
    environment.pop('SLURM_RESTART_COUNT', None)
    assert launch.resume_of_restart(str(run_dir), resume) == resume
    environment['SLURM_RESTART_COUNT'] = '1'
    assert launch.resume_of_restart(str(run_dir), resume) == 'auto'


def test_a_job_requeued_before_its_first_checkpoint(tmp_path, environment):
    environment['SLURM_RESTART_COUNT'] = '2'
    assert launch.resume_of_restart(str(tmp_path), 'other.pth') == 'other.pth'
