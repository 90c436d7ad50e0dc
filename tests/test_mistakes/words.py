# Copyright (c) mmdiffkd contributors.
"""How the catalogue of mistakes names command lines.

Each is a tool, its arguments, and files to make (or, by their names,
environment variables to set).
"""

EXPORT = 'model_converters/export_student.py'


def options(*words):
    return ['--cfg-options', *words]


DISTILLER = 'model.distiller.'
MAPPING = DISTILLER + 'loss_forward_mappings.loss_kd_p3.s_feature.'
PAIR = DISTILLER + 'connector_forward_mappings.diff_p3.s_feature.'
TRAIN = ['{student}', '--work-dir', '{tmp}/w']
DISTIL = ['{distill}', '--work-dir', '{tmp}/w']


def train(*words, **files):
    return 'train.py', [*TRAIN, *words], files


def distil(*words, **files):
    return 'train.py', [*DISTIL, *words], files


def config(text, *words, base='student'):
    """Train with a config of its own."""
    text = f"_base_ = '{{{base}}}'\n{text}" if base else text
    return (
        'train.py',
        ['{tmp}/c.py', '--work-dir', '{tmp}/w', *words],
        {'c.py': text},
    )


def tester(*words, **files):
    return 'test.py', [*words, '--work-dir', '{tmp}/w'], files


def export(*words, **files):
    return EXPORT, list(words), files
