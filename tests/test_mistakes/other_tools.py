# Copyright (c) mmdiffkd contributors.
"""What the other tools are given."""

from .words import export, options, tester

CASES = {
    # --- testing
    'test: absent checkpoint': (
        tester('{student}', 'gone.pth'),
        "'gone.pth' does not exist",
    ),
    'test: folder as checkpoint': (
        tester('{student}', '{saved}'),
        "checkpoint '{saved}' is a folder; name a file in it",
    ),
    'test: checkpoint that fits nothing': (
        tester('{student}', '{saved}/other.pth'),
        'nothing in checkpoint',
    ),
    'test: checkpoint of a teacher': (
        tester('{distill}', '{saved}/teacher_only.pth'),
        r'teacher.\* \(1\)',
    ),
    'test: cut checkpoint': (
        tester('{student}', '{saved}/cut.pth'),
        'truncated',
    ),
    'test: name of the predictions': (
        tester('{student}', '{saved}/plain.pth', '--out', 'x.json'),
        '.pkl',
    ),
    'test: predictions that exist': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/o.pkl',
            **{'o.pkl': 'precious'},
        ),
        '--overwrite',
    ),
    'test: no augmentation': (
        tester('{student}', '{saved}/plain.pth', '--tta'),
        'tta_model',
    ),
    'test: absent data': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            *options('test_dataloader.dataset.data_root=/nowhere'),
        ),
        'test_dataloader.dataset.data_root',
    ),
    'test: no checkpoint at all': (
        ('test.py', ['{student}'], {}),
        'required: checkpoint',
    ),
    # --- testing
    'test: list as checkpoint': (
        tester('{student}', '{saved}/list.pth'),
        'holds a list',
    ),
    'test: other classes': (
        tester('{student}', '{saved}/wide.pth'),
        'another shape.*retina_cls',
    ),
    'test: folder of the predictions': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/f/x.pkl',
            f='x',
        ),
        'f.*is a file',
    ),
    'test: predictions that are a folder': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--out',
            '{tmp}/x.pkl',
            '--overwrite',
            **{'x.pkl/a': 'x'},
        ),
        'is a folder',
    ),
    'test: pictures into a file': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            '--show-dir',
            '{tmp}/f',
            f='x',
        ),
        '--show-dir',
    ),
    'test: work dir that is a file': (
        (
            'test.py',
            ['{student}', '{saved}/plain.pth', '--work-dir', '{tmp}/f'],
            {'f': 'x'},
        ),
        '--work-dir',
    ),
    'test: unknown metric': (
        tester(
            '{student}',
            '{saved}/plain.pth',
            *options('test_evaluator.metric=segmm'),
        ),
        'CocoMetric.*segmm',
    ),
    # --- export
    'export: absent': (export('{tmp}/gone.pth'), 'does not exist'),
    'export: empty file': (export('{saved}/zero.pth'), 'truncated'),
    'export: text': (export('{saved}/text.pth'), 'not a PyTorch checkpoint'),
    'export: pickled objects': (
        export('{saved}/pickle.pth'),
        # Without PyTorch's advice to load it whatever it holds.
        r'pickle.pth. is not a PyTorch checkpoint, or it is damaged\n$',
    ),
    'export: folder': (
        export('{saved}'),
        "checkpoint '{saved}' is a folder; name a file in it",
    ),
    'export: list': (export('{saved}/list.pth'), 'holds a list'),
    'export: no weights': (export('{saved}/empty.pth'), 'holds no weights'),
    'export: cut': (export('{saved}/cut.pth'), 'truncated'),
    'export: teacher alone': (
        export('{saved}/teacher_only.pth'),
        'no student weights',
    ),
    'export: plain already': (export('{saved}/plain.pth'), 'plain student'),
    'export: no config inside': (export('{saved}/no_cfg.pth'), '--config'),
    'export: a program inside': (
        export('{saved}/program.pth'),
        '--trust-checkpoint',
    ),
    'export: foreign objects': (
        export('{saved}/unsafe.pth'),
        'SimpleNamespace.*--trust-checkpoint',
    ),
    'export: no averages': (
        export('{saved}/distilled.pth', '--ema'),
        'no averaged weights',
    ),
    'export: file that exists': (
        export(
            '{saved}/distilled.pth', '{tmp}/s.pth', **{'s.pth': 'precious'}
        ),
        '--overwrite',
    ),
    'export: config that does not fit': (
        export(
            '{saved}/distilled.pth',
            '{tmp}/o.pth',
            '--config',
            '{tmp}/c.py',
            **{
                'c.py': "_base_ = '{student}'\nmodel = dict("
                'bbox_head=dict(num_classes=7))'
            },
        ),
        'retina_cls',
    ),
    'export: output below a file': (
        export('{saved}/distilled.pth', '{tmp}/f/s.pth', f='x'),
        'f/s.pth',
    ),
    # --- export
    'export: odd meta': (export('{saved}/no_dict_meta.pth'), '--config'),
    'export: config without a model': (
        export('{saved}/no_model.pth'),
        'no model of a student',
    ),
    'export: config without a student': (
        export('{saved}/no_student.pth'),
        'no model of a student',
    ),
    'export: odd averages': (export('{saved}/odd_ema.pth'), 'no weights'),
    'export: odd names': (export('{saved}/odd_keys.pth'), 'no weights'),
    'export: onto itself': (
        export(
            '{saved}/distilled.pth', '{saved}/distilled.pth', '--overwrite'
        ),
        'itself',
    ),
    'export: unknown library': (
        export(
            '{saved}/distilled.pth',
            '{tmp}/o.pth',
            '--config',
            '{tmp}/c.py',
            **{'c.py': "_base_ = '{student}'\ndefault_scope = 'mmdett'"},
        ),
        'mmdett',
    ),
    # --- the other tools
    'soak: no training': (
        ('analysis_tools/soak.py', ['{tmp}/c.py'], {'c.py': 'a = 1'}),
        'model',
    ),
    'demo: output that is a file': (
        ('make_demo_data.py', ['--out', '{tmp}/f'], {'f': 'x'}),
        'f',
    ),
    'demo: output below a file': (
        ('make_demo_data.py', ['--out', '{tmp}/f/g'], {'f': 'x'}),
        'f/g',
    ),
    'demo: scenes larger than the memory': (
        (
            'make_demo_data.py',
            ['--out', '{tmp}/d', '--size', '10000000'],
            {},
        ),
        'not enough memory .* 10000000 pixels: lower --size',
    ),
    'demo: odd manifest': (
        ('make_demo_data.py', ['--out', '{tmp}'], {'det/demo_set.json': '[]'}),
        'damaged',
    ),
    'report: no data': (
        (
            'analysis_tools/quickstart_report.py',
            ['{tmp}', '--data', '{tmp}'],
            {'teacher/x': '', 'test/x': ''},
        ),
        'instances_test.json',
    ),
    'summary: cut report': (
        (
            'analysis_tools/quickstart_summary.py',
            ['det={tmp}'],
            {'report.json': '{ '},
        ),
        'report.json',
    ),
    'summary: report of nothing': (
        (
            'analysis_tools/quickstart_summary.py',
            ['det={tmp}'],
            {'report.json': '{ }'},
        ),
        'report.json',
    ),
}
