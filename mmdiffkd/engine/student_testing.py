# Copyright (c) mmdiffkd contributors.
"""Test the student of any checkpoint with any of its configs."""

import logging
import os.path as osp

from mmengine.config import Config, ConfigDict
from mmengine.evaluator import DumpResults
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner

from mmdiffkd.utils.checkpoints.files import NOT_A_DICT, refuse_folder
from mmdiffkd.utils.checkpoints.student import (
    key_prefixes,
    student_config,
    student_weights,
)
from mmdiffkd.utils.checkpoints.weights import load_fitting
from mmdiffkd.utils.distillation import unwrap
from mmdiffkd.utils.errors import UserError

from .checks.settings import check_folder

TRAINING = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
)
"""What MMEngine's runner needs for a training, and for nothing else."""


class StudentWeightsHook(Hook):
    """Load a plain student from whatever checkpoint is tested.

    Not registered: `mmdiffkd test` adds it, a config need not name it.
    """

    # Before hooks that copy the loaded weights, such as `EMAHook`.
    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Strip the distillation in memory, and check that something fits."""
        model = unwrap(runner.model)
        while isinstance(model, BaseTTAModel):
            model = unwrap(model.module)
        path = runner._load_from
        if not isinstance(checkpoint, dict):
            raise UserError(NOT_A_DICT.format(path, type(checkpoint).__name__))
        try:
            weights = student_weights(checkpoint)
        except UserError as error:
            raise UserError(f'{path!r}: {error}') from error
        expected = model.state_dict()
        missing, wrong = load_fitting(model, weights)
        if len(missing) == sum(
            not key.endswith('num_batches_tracked') for key in expected
        ):
            raise UserError(
                f'nothing in checkpoint {path!r} fits the model of the '
                f'config: the model has {key_prefixes(expected)}; the '
                f'checkpoint has {key_prefixes(weights)}'
            )
        if wrong:
            raise UserError(
                f'{len(wrong)} tensors of checkpoint {path!r} have another '
                f'shape than in the model of the config, such as {wrong[0]}; '
                'is num_classes that of the training?'
            )
        if missing:
            print_log(
                f'{len(missing)} of the {len(expected)} tensors of the model '
                f'are not in {path!r} and keep random values, such as '
                f'{missing[0]!r}',
                logger='current',
                level=logging.WARNING,
            )
        checkpoint.pop('ema_state_dict', None)
        checkpoint['state_dict'] = weights


def testing_config(cfg: Config, path: str, checkpoint: str) -> Config:
    """Prepare a config for testing a checkpoint; no teacher is left in it.

    Args:
        cfg (Config): Distillation or plain config.
        path (str): Its file.
        checkpoint (str): File or address of the checkpoint.

    Returns:
        Config: The config to run.
    """
    refuse_folder(checkpoint, 'checkpoint')
    if '://' not in checkpoint and not osp.isfile(checkpoint):
        raise UserError(f'checkpoint {checkpoint!r} does not exist')
    if cfg.get('test_dataloader') is None or cfg.get('test_evaluator') is None:
        raise UserError(f'{path} has no test_dataloader and test_evaluator')
    cfg = student_config(cfg)
    cfg.load_from, cfg.resume = checkpoint, False
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict(type='TestLoop')
    # MMEngine writes the config it runs into the work dir. Its own name
    # keeps the one that the training left there.
    name = osp.splitext(osp.basename(path))[0] + '_test.py'
    return Config(cfg.to_dict(), cfg_text=cfg.text or ' ', filename=name)


def set_show_dir(cfg: Config, folder: str) -> None:
    """Let the library's visualization hook draw into a folder.

    Args:
        cfg (Config): Config with its ``work_dir``, changed in place.
        folder (str): Absolute, or relative to the folder that MMEngine makes
            for each run in the work dir.

    Raises:
        UserError: If it cannot be made, or nothing in the config draws.
    """
    # The folder of the run has a name that nothing else has.
    check_folder(osp.join(cfg.work_dir, '_', folder), '--show-dir')
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError(
            '--show-dir needs default_hooks.visualization in the '
            "config, such as dict(type='DetVisualizationHook')"
        )
    kind = hook.type.split('.')[-1]
    if kind == 'DetVisualizationHook':
        hook.update(draw=True, test_out_dir=folder)
        return
    if kind == 'SegVisualizationHook':
        hook.draw = True
        # The hook asks for the iteration, and MMEngine would build all of
        # the training to answer, its data included.
        for key in TRAINING:
            cfg[key] = None
    else:  # MMPretrain
        hook.update(enable=True, out_dir=None)
    if cfg.get('visualizer') is None:
        raise UserError(
            '--show-dir needs a visualizer in the config, such as '
            "dict(type='UniversalVisualizer')"
        )
    backends = [
        backend
        for backend in cfg.visualizer.get('vis_backends') or ()
        if backend.type.split('.')[-1] == 'LocalVisBackend'
    ]
    if not backends:
        others = cfg.visualizer.get('vis_backends') or ()
        own = ConfigDict(type='mmengine.LocalVisBackend')
        cfg.visualizer.vis_backends = [*others, own]
        backends = [cfg.visualizer.vis_backends[-1]]
    for backend in backends:
        # It is relative to vis_data in the folder of the run.
        backend.img_save_dir = osp.join(osp.pardir, folder)


def set_tta(cfg: Config) -> None:
    """Test with the config's test-time augmentation."""
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UserError(
                f'--tta needs {key} in the config; MMDetection '
                'has it in configs/retinanet/retinanet_tta.py'
            )
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def add_dump(runner: Runner, path: str | None) -> None:
    """Write all predictions into a pickle file, as the library does."""
    if path is None:
        return
    dump = DumpResults
    if runner.cfg.get('default_scope') == 'mmdet':
        from mmdet.evaluation import DumpDetResults

        dump = DumpDetResults
    runner.test_evaluator.metrics.append(dump(out_file_path=path))


def check_out(path: str | None, overwrite: bool) -> None:
    """Check the value of ``--out``."""
    if path is None:
        return
    if not path.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {path}: the name must end in .pkl')
    if osp.isdir(path):
        raise UserError(f'--out {path} is a folder')
    check_folder(osp.dirname(path) or '.', f'--out {path}: its folder')
    if osp.exists(path) and not overwrite:
        raise UserError(f'--out {path} exists; pass --overwrite to replace it')
