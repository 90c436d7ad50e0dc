# Copyright (c) mmdiffkd contributors.
"""Distiller and teacher."""

from .words import DISTILLER, MAPPING, PAIR, config, distil, options

CASES = {
    # --- distiller
    'dtype of the teacher': (
        distil(*options('model.teacher_dtype=bf16')),
        "model.teacher_dtype.*'bfloat16' or 'float16'.*got 'bf16'",
    ),
    'a compiler of the teacher': (
        distil(*options('model.compile_teacher=inductor')),
        'model.compile_teacher.*arguments of torch.compile',
    ),
    'an argument of its compiler': (
        distil(*options('model.compile_teacher.backends=True')),
        "model.compile_teacher.*torch.compile does not take.*'backends'",
    ),
    'a compiler of a denoiser': (
        distil(
            *options(
                DISTILLER + 'connectors.diff_p3.compile_denoiser.backend=x'
            )
        ),
        "diff_p3.*compile_denoiser=.*torch.compile does not take.*'x'",
    ),
    'student source': (
        distil(*options(DISTILLER + 'student_recorders.fpn.source=nec')),
        "student_recorders.fpn.*'nec'.*'neck'",
    ),
    'teacher source': (
        distil(*options(DISTILLER + 'teacher_recorders.fpn.source=nec')),
        "teacher_recorders.fpn.*'nec'.*'neck'",
    ),
    'type of a recorder': (
        distil(*options(DISTILLER + 'student_recorders.fpn.type=ModuleOut')),
        'ModuleOut',
    ),
    'unknown recorder': (
        distil(*options(MAPPING + 'recorder=fpm')),
        "'fpm'.*'fpn'",
    ),
    'unknown connector': (
        distil(*options(MAPPING + 'connector=dif_p3')),
        "'dif_p3'.*'diff_p3'",
    ),
    'unknown side': (
        distil(*options(MAPPING + 'from_student=maybe')),
        'from_student',
    ),
    'unknown key of a record': (
        distil(*options(MAPPING + 'data_id=1')),
        "'data_idx'",
    ),
    'unknown argument of a connector': (
        distil(*options(DISTILLER + 'connectors.diff_p3.recipee=tuned')),
        "'recipe'",
    ),
    'unknown recipe': (
        distil(*options(DISTILLER + 'connectors.diff_p3.recipe=x')),
        "recipe 'x'.*tuned",
    ),
    'channels of the student': (
        distil(*options(DISTILLER + 'connectors.diff_p3.student_channels=8')),
        'student_channels=16',
    ),
    'channels that are no number': (
        distil(
            *options(DISTILLER + 'connectors.diff_p3.student_channels=many')
        ),
        'student_channels',
    ),
    'no channels': (
        distil(*options(DISTILLER + 'connectors.diff_p3.student_channels=0')),
        'student_channels',
    ),
    'level of another size': (
        distil(*options(PAIR + 'data_idx=1')),
        'height or width.*resize',
    ),
    'level that is not there': (
        distil(*options(PAIR + 'data_idx=9')),
        'data_idx=9',
    ),
    'connector that no loss uses': (
        distil(
            *options(
                DISTILLER + 'connectors.extra.type=mmdiffkd.DiffKDConnector',
                DISTILLER + 'connectors.extra.student_channels=16',
                DISTILLER + 'connectors.extra.teacher_channels=16',
            )
        ),
        "'extra'.*never used",
    ),
    'unknown loss': (
        distil(
            *options(
                DISTILLER + 'distill_losses.loss_kd_p3.type=mmrazor.L2Los'
            )
        ),
        "'mmrazor.L2Loss'",
    ),
    'unknown distiller': (
        distil(*options(DISTILLER + 'type=mmdiffkd.DiffKDDistiler')),
        "'mmdiffkd.DiffKDDistiller'",
    ),
    'moment of the stop': (
        config(
            "custom_hooks = [dict(type='mmdiffkd.StopDistillHook')]",
            base='distill',
        ),
        'stop_epoch or stop_iter',
    ),
    'sharded parameters': (
        distil(*options('model_wrapper_cfg.type=MMFullyShardedDataParallel')),
        'MMFullyShardedDataParallel.*MMDistributedDataParallel',
    ),
    'strategy of its own': (
        distil(
            *options(
                'runner_type=FlexibleRunner', 'strategy.type=FSDPStrategy'
            )
        ),
        'FSDPStrategy',
    ),
    # --- teacher
    'teacher without weights': (
        distil(*options('model.allow_random_teacher=False')),
        'model.teacher_ckpt',
    ),
    'absent teacher checkpoint': (
        distil(*options('model.teacher_ckpt=gone.pth')),
        "'gone.pth'",
    ),
    'a folder as teacher checkpoint': (
        distil(*options('model.teacher_ckpt={tmp}')),
        'is a folder; name a file in it',
    ),
    'cut teacher checkpoint': (
        distil(*options('model.teacher_ckpt={saved}/cut.pth')),
        'cannot be read',
    ),
    'teacher checkpoint without weights': (
        distil(*options('model.teacher_ckpt={saved}/empty.pth')),
        'holds no weights',
    ),
    'teacher checkpoint with a gap': (
        distil(*options('model.teacher_ckpt={saved}/part.pth')),
        '1 are missing and 0 differ.*fpn_convs',
    ),
    'teacher checkpoint of other classes': (
        distil(*options('model.teacher_ckpt={saved}/shape.pth')),
        '0 are missing and 1 differ.*cfg_options',
    ),
    'absent teacher config': (
        distil(*options('model.teacher.cfg_path=gone.py')),
        'gone.py',
    ),
    'slip in teacher options': (
        config(
            'model = dict(teacher=dict(cfg_options={{'
            "'bbox_head.num_classes': 1}}))",
            base='distill',
        ),
        "did you mean 'model.bbox_head'",
    ),
}
