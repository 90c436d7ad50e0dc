# Copyright (c) mmdiffkd contributors.
# Scenes of digits, all from scratch, 600 iterations. Four weights of each
# method are tried, that of its config and up to 15 times that. `trained` has
# diffusion models of the teacher that were trained before the students and
# stay as they are, and two steps. The released recipe is taken as it is.
_pairs = 'model.distiller.pairs.'
_connector = _pairs + 'kd.connector.'
_student = 'configs/demo/digits_retina_student.py'


def _weight(pair: str, start: float) -> dict:
    """Four weights, from its start on."""
    return dict(
        weight=dict(
            keys=[f'{_pairs}{pair}.loss.loss_weight'],
            choices=[start, 2.5 * start, 6 * start, 15 * start],
        )
    )


data_sets = dict(
    digits=dict(
        metric='coco/bbox_mAP',
        teacher=dict(config='configs/demo/digits_retina_teacher.py', seed=0),
        diffusion=dict(
            config='configs/demo/digits_diffkd_retina.py', seed=0, iters=2000
        ),
        # A validation at the end alone.
        options={'train_cfg.val_interval': 4},
        length={'train_cfg.max_epochs': 4},
        methods=dict(
            alone=dict(config=_student),
            control=dict(
                config='configs/demo/digits_mimic.py', tune=_weight('kd', 5.0)
            ),
            diffkd=dict(
                config='configs/demo/digits_diffkd_retina.py',
                tune=_weight('kd', 5.0),
            ),
            trained=dict(
                config='configs/demo/digits_diffkd_retina.py',
                options={
                    _connector + 'freeze_diffusion': True,
                    _connector + 'sampler.num_inference_steps': 2,
                },
                tune=_weight('kd', 5.0),
                diffusion_ckpt=[_connector + 'diffusion_ckpt'],
            ),
            mimicking=dict(
                config='configs/demo/digits_mse.py', tune=_weight('kd', 5.0)
            ),
            cwd=dict(
                config='configs/demo/digits_cwd.py', tune=_weight('cwd', 10.0)
            ),
            pkd=dict(
                config='configs/demo/digits_pkd.py', tune=_weight('pkd', 10.0)
            ),
            diffkd_released=dict(
                config='configs/demo/digits_diffkd_retina.py',
                options={_pairs + 'kd.connector.recipe': 'released'},
            ),
        ),
    )
)
trials = 4
tuning_seeds = [1]
seeds = [11, 12, 13, 14, 15]
clock = 'cpu'
