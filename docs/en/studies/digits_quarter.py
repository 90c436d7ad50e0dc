# Copyright (c) mmdiffkd contributors.
# A weak detector: its backbone has a quarter of the teacher's width. Whose is
# the gain? `trained` has diffusion models that were trained on the teacher
# before, `untrained` such networks with random weights, both frozen; `learned`
# has them without a diffusion loss, trained by the distance alone. All in two
# steps. Four weights of each are tried.
_pair = 'model.distiller.pairs.kd.'
_connector = _pair + 'connector.'
_weight = dict(
    weight=dict(
        keys=[_pair + 'loss.loss_weight'],
        choices=[12.5, 30.0, 75.0, 190.0],
        start=30.0,
    )
)


def _quarter(model: str) -> dict:
    """Options of the student, whose config keys begin with `model`."""
    return {
        model + 'backbone.base_channels': 8,
        model + 'backbone.stem_channels': 8,
        model + 'neck.in_channels': [8, 16, 32, 64],
    }


_distilled = _quarter('model.architecture.')
_steps = {_connector + 'sampler.num_inference_steps': 2}
_frozen = {**_steps, _connector + 'freeze_diffusion': True}
_diffkd = 'configs/demo/digits_diffkd_retina.py'
data_sets = dict(
    quarter=dict(
        metric='coco/bbox_mAP',
        teacher=dict(config='configs/demo/digits_retina_teacher.py', seed=0),
        diffusion=dict(config=_diffkd, seed=0, iters=2000),
        # A validation at the end alone.
        options={'train_cfg.val_interval': 4},
        length={'train_cfg.max_epochs': 4},
        methods=dict(
            alone=dict(
                config='configs/demo/digits_retina_student.py',
                options=_quarter('model.'),
            ),
            control=dict(
                config='configs/demo/digits_mimic.py',
                options=_distilled,
                tune=_weight,
            ),
            untrained=dict(
                config=_diffkd,
                options={
                    **_distilled,
                    **_frozen,
                    _connector
                    + 'diffusion_ckpt': 'work_dirs/digits_untrained/'
                    'diffusion.pth',
                },
                tune=_weight,
            ),
            trained=dict(
                config=_diffkd,
                options={**_distilled, **_frozen},
                tune=_weight,
                diffusion_ckpt=[_connector + 'diffusion_ckpt'],
            ),
            learned=dict(
                config=_diffkd,
                options={
                    **_distilled,
                    **_steps,
                    _connector + 'zero_init': False,
                    _connector + 'kd_grad_to_denoiser': True,
                    _connector + 'diffusion_loss_weight': 0.0,
                },
                tune=_weight,
            ),
        ),
    )
)
trials = 4
tuning_seeds = [60]
seeds = [61, 62, 63, 64, 65, 66, 67, 68]
clock = 'cpu'
