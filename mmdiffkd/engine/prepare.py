# Copyright (c) mmdiffkd contributors.
"""A training from Python: ``mmdiffkd.prepare(cfg, ...).train()``.

``mmdiffkd train`` is this function behind a parser of arguments.
"""

import copy
import os
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from mmengine.visualization import Visualizer

from mmdiffkd.utils.configs.injected_scope import drop_injected_scope
from mmdiffkd.utils.configs.loading import load_config, merge_options
from mmdiffkd.utils.errors import UserError
from mmdiffkd.utils.explain import explained

from . import launch
from .checks import settings as checks
from .hooks import DataCheckHook
from .process_group import init_processes, set_local_rank
from .reliable_hooks import make_reliable
from .student_optim_wrapper import show_student_to_constructor


def prepare(
    cfg: Config | Mapping | str | os.PathLike,
    work_dir: str | os.PathLike | None = None,
    *,
    seed: int | None = None,
    resume: bool | str | os.PathLike | None = None,
    overwrite: bool = False,
    cfg_options: Mapping | None = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    launcher: str = 'none',
    local_rank: int = 0,
) -> Runner:
    """Check a config, and build the runner that trains it.

    The run is that of ``mmdiffkd train`` with the options of the same names:
    the same checks before it, screen of the first iteration, student files,
    exact resuming and warnings. The key ``reliable`` of the config switches
    parts off; what is off then stands in the log.

    The order is that of what a mistake costs. All that can be known from the
    config and the disk is checked before the work dir is written to and
    before processes wait for each other; each part of that reads only what
    the parts before have checked. The model comes last: it takes minutes.

    Args:
        cfg (Config | Mapping | str | PathLike): Config, or the name of its
            file. It is left as it is; the runner has a copy, ``runner.cfg``.
        work_dir (str | PathLike, optional): Folder for logs and checkpoints.
            Defaults to the config's ``work_dir``, or
            ``./work_dirs/<name of the config's file>``.
        seed (int, optional): Random seed, 0 to 2**32 - 1. Defaults to that
            of the config.
        resume (bool | str | PathLike, optional): True goes on from the
            latest checkpoint in the work dir, or begins where there is none;
            a name is that of a checkpoint. Defaults to the config's
            ``resume``.
        overwrite (bool): Whether to start anew in a work dir that holds
            checkpoints. Defaults to False.
        cfg_options (Mapping, optional): Settings to override, such as
            ``{'train_cfg.max_epochs': 2}``.
        amp (bool): Whether to train in mixed precision, on a GPU. Defaults to
            False.
        auto_scale_lr (bool): Whether to scale the learning rate from
            ``auto_scale_lr.base_batch_size`` to the actual batch size.
            Defaults to False.
        launcher (str): What started the processes of the run: ``'none'``,
            ``'pytorch'``, ``'slurm'`` or ``'mpi'``. Defaults to ``'none'``.
        local_rank (int): Number of this process on its machine, from
            launchers that pass it as an argument. Defaults to 0.

    Returns:
        Runner: Ready for ``runner.train()``, whose mistakes of the user are
        UserErrors, too. In a run of several processes, drop it and call
        :func:`~mmdiffkd.engine.process_group.end_processes` at the end.

    Raises:
        UserError: For a mistake in config, data or arguments; the message
            names the option of ``mmdiffkd train``, which is the argument of
            that name. Nothing has been written then, unless the model itself
            is at fault.
    """
    with explained():
        # Whatever logs reads the number of the process.
        set_local_rank(launcher, local_rank)
        cfg, path = _own_copy(cfg, cfg_options)
        # Before the work dir: the parts that all of the rest reads.
        checks.check_training(cfg, path or 'the config')
        launch.set_work_dir(cfg, path, _text(work_dir))
        # Before processes, each of which would say it, and the others wait.
        checks.check_folder(cfg.work_dir, '--work-dir')
        _set_arguments(cfg, seed, resume, amp, auto_scale_lr)
        checks.check_settings(cfg)
        checks.check_wrapper(cfg)
        checks.check_load_from(cfg)
        checks.check_data(cfg, ('train', 'val'))
        if not overwrite:
            checks.check_work_dir(cfg)
        # Before building: what the parts of the runner read from the config.
        done = [show_student_to_constructor(cfg), make_reliable(cfg)]
        _name_visualizer_anew(cfg)
        init_processes(cfg, launcher, local_rank)
        runner = launch.build_runner(cfg)
    for line in filter(None, done):
        runner.logger.info(line)
    runner.register_hook(DataCheckHook())
    # Data sets, optimizer and checkpoint are not read before it is called.
    runner.train = explained()(runner.train)
    return runner


def _own_copy(
    cfg: Config | Mapping | str | os.PathLike, options: Mapping | None
) -> tuple[Config, str | None]:
    """A config of our own, and the name of its file if it has one."""
    if isinstance(cfg, (str, os.PathLike)):
        path = os.fspath(cfg)
        return load_config(path, options), path
    if isinstance(cfg, Config):
        own = copy.deepcopy(cfg)
    elif isinstance(cfg, Mapping):
        own = Config(copy.deepcopy(dict(cfg)))
        _import_modules(own)
    else:
        raise UserError(
            'prepare takes a Config, a dict or the name of a config file, got '
            f'{cfg!r}'
        )
    drop_injected_scope(own)
    merge_options(own, options, own.filename or 'the config')
    return own, own.filename


def _import_modules(cfg: Config) -> None:
    """Do what MMEngine does for the config of a file."""
    if cfg.get('custom_imports'):
        try:
            import_modules_from_strings(**cfg.custom_imports)
        except ImportError as error:
            raise UserError(f'config key custom_imports: {error}') from error


def _set_arguments(
    cfg: Config,
    seed: int | None,
    resume: bool | str | os.PathLike | None,
    amp: bool,
    auto_scale_lr: bool,
) -> None:
    """Write what was asked for into the config."""
    if resume is False:
        cfg.resume, resume = False, None
    asked = 'auto' if resume is True else _text(resume)
    launch.set_resume(cfg, launch.resume_of_restart(cfg.work_dir, asked))
    if amp:
        launch.set_amp(cfg)
    if auto_scale_lr:
        launch.set_auto_scale_lr(cfg)
    if seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)


def _text(path: str | os.PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _name_visualizer_anew(cfg: Config) -> None:
    """Give a second run in one process, as in a notebook, its own visualizer.

    MMEngine would find the first one's by its name, and write the new
    curves into the old folder.
    """
    visualizer = cfg.get('visualizer')
    if isinstance(visualizer, dict):
        name = visualizer.get('name')
        if name and Visualizer.check_instance_created(name):
            del visualizer['name']  # MMEngine then takes the experiment's
