# Copyright (c) mmdiffkd contributors.
"""Every shipped config can be read, and what it names exists."""

import copy
import functools
import re
from pathlib import Path

import pytest
import yaml
from helpers.paper_pairs import of_papers
from mmengine.config import Config
from mmengine.utils import get_installed_path

import mmdiffkd  # noqa: F401  (makes `mmdiffkd::` bases readable)
from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(ROOT.glob('configs/**/*.py'))
RUNNABLE = [path for path in CONFIGS if '_base_' not in path.parts]
DET = sorted(ROOT.glob('configs/det/*.py'))
PAPERS_DET = of_papers(DET)
DIFFKD_DET = [p for p in PAPERS_DET if p.name.startswith('diffkd')]
ZOO = [path for path in RUNNABLE if path.parent.name in ('det', 'seg', 'cls')]
METAFILES = sorted(ROOT.glob('configs/**/metafile.yml'))
LIBRARIES = {
    'mmdet': 'mmdet',
    'mmseg': 'mmsegmentation',
    'mmpretrain': 'mmpretrain',
}

METRICS = {
    'mmdet': ('Object Detection', 'box AP'),
    'mmseg': ('Semantic Segmentation', 'mIoU'),
    'mmpretrain': ('Image Classification', 'Top 1 Accuracy'),
}

# Tests that change a config read it anew.
load = functools.lru_cache(maxsize=None)(Config.fromfile)


def name(path):
    return path.relative_to(ROOT / 'configs').as_posix()


def library_configs(scope):
    return Path(get_installed_path(LIBRARIES[scope])) / '.mim' / 'configs'


@functools.cache
def models_of(metafile):
    return yaml.safe_load(metafile.read_text())['Models']


def zoo_entries(cfg_path):
    """Entries of the library's own metafile for ``scope::folder/file.py``."""
    scope, config = cfg_path.split('::')
    folder = library_configs(scope) / Path(config).parent
    (metafile,) = folder.glob('metafile.y*ml')
    models = models_of(metafile)
    return [m for m in models if m['Config'] == f'configs/{config}']


def teacher_of(path):
    """``(cfg_path, teacher_ckpt)``, None each where there is none."""
    model = load(path).get('model', {})
    return (
        model.get('teacher', {}).get('cfg_path'),
        model.get('teacher_ckpt'),
    )


def as_list(item):
    """Some metafiles of MMSegmentation have one result without a list."""
    return item if isinstance(item, list) else [item]


def test_configs_are_found():
    assert DET and METAFILES


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_dumped_config_reads_back_equal(path, tmp_path):
    cfg = load(path)
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()


def test_teachers_that_configs_name_exist():
    """Their configs do, and weights to download are those of the config."""
    found, missing, strange = 0, [], []
    for path in RUNNABLE:
        cfg_path, checkpoint = teacher_of(path)
        if cfg_path is None:
            continue
        found += 1
        scope, separator, config = cfg_path.rpartition('::')
        folder = (
            ROOT
            if not separator
            else (
                ROOT / 'configs'
                if scope == 'mmdiffkd'
                else library_configs(scope)
            )
        )
        if not (folder / config).is_file():
            missing.append(name(path))
        elif str(checkpoint).startswith('http') and checkpoint not in [
            m['Weights'] for m in zoo_entries(cfg_path)
        ]:
            strange.append(name(path))
    assert found > len(RUNNABLE) / 2
    assert not missing and not strange


@pytest.mark.parametrize('path', DIFFKD_DET, ids=name)
def test_pairs_distill_five_levels_under_true_names(path):
    cfg = load(path)
    first = cfg.model.architecture.neck.get('start_level', 0) + 2
    levels = range(first, first + 5)
    distiller = expand_distiller(cfg.model.distiller)
    assert list(distiller.connectors) == [f'diff_p{p}' for p in levels]
    assert list(distiller.distill_losses)[:5] == [
        f'loss_kd_p{p}' for p in levels
    ]
    for index, p in enumerate(levels):
        sides = distiller.connector_forward_mappings[f'diff_p{p}']
        assert sides.s_feature == dict(
            recorder='fpn', from_student=True, data_idx=index
        )
        assert sides.t_feature == dict(
            recorder='fpn', from_student=False, data_idx=index
        )


@pytest.mark.parametrize('path', DIFFKD_DET, ids=name)
def test_pairs_follow_the_paper(path):
    """KD weight 5 (RepPoints 15), lambda_1 = 1."""
    cfg = load(path)
    weight = 15 if 'reppoints' in path.name else 5
    distiller = expand_distiller(cfg.model.distiller)
    assert {
        loss.loss_weight
        for name, loss in distiller.distill_losses.items()
        if name.startswith('loss_kd_p')
    } == {weight}
    for connector in distiller.connectors.values():
        assert connector.diffusion_loss_weight == 1


@pytest.mark.parametrize('path', PAPERS_DET, ids=name)
def test_pairs_train_as_the_papers_do(path):
    """2x schedule, 16 images."""
    cfg = load(path)
    assert cfg.model.type == 'mmdiffkd.FrozenTeacherDistill'
    assert cfg.train_cfg.max_epochs == 24
    steps = [s for s in cfg.param_scheduler if s.type == 'MultiStepLR']
    assert [s.milestones for s in steps] == [[16, 22]]
    assert cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.train_dataloader.batch_size == 2


@pytest.mark.parametrize('path', PAPERS_DET, ids=name)
def test_teacher_and_student_read_images_alike(path):
    """The shipped pairs need no re-normalisation of the teacher's input."""
    cfg = load(path)
    scope, config = cfg.model.teacher.cfg_path.split('::')
    teacher = load(library_configs(scope) / config).model
    student = cfg.model.architecture.data_preprocessor
    for key in ('mean', 'std', 'bgr_to_rgb', 'pad_size_divisor'):
        assert teacher.data_preprocessor[key] == student[key], key


@pytest.mark.parametrize('path', DET, ids=name)
def test_pairs_are_written_by_inheritance(path):
    """A pair names student, teacher, weights and distiller; no more."""
    lines = path.read_text().splitlines()
    assert len(lines) <= 25
    assert not any('find_unused_parameters' in line for line in lines)
    assert 'find_unused_parameters' not in load(path)


@pytest.mark.parametrize(
    'path', sorted(ROOT.glob('configs/_base_/distillers/*.py')), ids=name
)
def test_every_base_is_a_distiller(path):
    """Those that no pair uses too: names, arguments and connectors fit."""
    built = MODELS.build(copy.deepcopy(load(path).distiller))
    assert type(built).__name__ == 'DiffKDDistiller'
    assert list(built.distill_losses) == list(built.loss_forward_mappings)


@pytest.mark.parametrize('path', METAFILES, ids=name)
def test_metafile_names_what_exists(path):
    content = yaml.safe_load(path.read_text())
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
    listed = [ROOT / model['Config'] for model in content['Models']]
    assert sorted(listed) == sorted(path.parent.glob('*.py'))
    for model in content['Models']:
        assert model['Name'] == Path(model['Config']).stem


@pytest.mark.parametrize(
    'model',
    [m for path in METAFILES for m in models_of(path)],
    ids=lambda model: model['Name'],
)
def test_metafile_agrees_with_config_and_library(model):
    cfg = load(ROOT / model['Config'])
    metadata = model['Metadata']
    if 'max_iters' in cfg.train_cfg:
        assert metadata['Iterations'] == cfg.train_cfg.max_iters
    else:
        assert metadata['Epochs'] == cfg.train_cfg.max_epochs
    assert metadata['Teacher']['Config'] == cfg.model.teacher.cfg_path
    assert metadata['Teacher']['Weights'] == cfg.model.teacher_ckpt
    student = Path(metadata['Student']['Config']).name
    assert student in (ROOT / model['Config']).read_text()
    for role in ('Student', 'Teacher'):
        scope = metadata[role]['Config'].split('::')[0]
        if scope not in METRICS:
            continue  # a config of this package, trained by the user
        task, metric = METRICS[scope]
        entries = [
            entry
            for entry in zoo_entries(metadata[role]['Config'])
            if entry['Weights'] == metadata[role]['Weights']
        ]
        results = [
            result['Metrics'][metric]
            for entry in entries
            for result in as_list(entry['Results'])
            if result['Task'] == task
        ]
        assert results == [metadata[role]['Metrics'][metric]]


@pytest.mark.parametrize('path', ZOO, ids=name)
def test_readme_lists_the_pair(path):
    readme = (path.parent / 'README.md').read_text()
    assert f']({path.name})' in readme


@pytest.mark.parametrize(
    'readme', sorted(ROOT.glob('configs/**/README.md')), ids=name
)
def test_readme_links_to_files_that_exist(readme):
    links = re.findall(r'\]\(([^)#]+)[^)]*\)', readme.read_text())
    for link in links:
        if not link.startswith('http'):
            assert (readme.parent / link).exists(), link
    named = r'(?:configs|tools)/[\w/.*-]+[\w*]'
    for path in re.findall(named, readme.read_text()):
        assert any(ROOT.glob(path)), path
