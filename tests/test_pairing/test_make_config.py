# Copyright (c) mmdiffkd contributors.
"""`mmdiffkd make-config` and `mmdiffkd.distill_config`, with real models."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from torch import nn

import mmdiffkd
from mmdiffkd.commands.make_config import main
from mmdiffkd.models.algorithms.teacher_builder import build_stock
from mmdiffkd.pairing.named import folder_of, read_named
from mmdiffkd.pairing.writing import write_config
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.loading import load_config

R20 = 'mmdiffkd::cls/baselines/resnet20_cifar100.py'
R56 = 'mmdiffkd::cls/baselines/resnet56_cifar100.py'
TEN = """
_base_ = {name!r}
model = dict(head=dict(num_classes=10))
"""
VIT = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer', arch='deit-tiny', img_size=32,
        patch_size=8),
    head=dict(
        type='VisionTransformerClsHead', num_classes=100, in_channels=192,
        loss=dict(type='CrossEntropyLoss')))
"""


def step(cfg) -> dict:
    """Losses of one training step of a classifier, teacher untrained."""
    cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor', {}))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).train()
        images = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8)
        labels = [DataSample().set_gt_label(i) for i in range(4)]
        data = dict(inputs=list(images), data_samples=labels)
        losses = model(**model.data_preprocessor(data, True), mode='loss')
    loss, log = model.parse_losses(losses)
    loss.backward()
    assert all(p.grad is not None for p in model.distiller.parameters())
    return log


def refusal(capsys, *arguments: str) -> str:
    """The one line with which the command refuses."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert 'Traceback' not in error
    return error


@pytest.fixture
def ten(tmp_path):
    """ResNet-56 of ten classes, in a file of the user's."""
    path = tmp_path / 'ten.py'
    path.write_text(
        TEN.format(name=str(folder_of('mmdiffkd') / R56.split('::')[1]))
    )
    return str(path)


@pytest.mark.parametrize(
    'method, losses',
    [
        ('diffkd', {'kd_feature', 'kd_logits'}),
        ('mimic', {'mimic'}),
        ('dist', {'dist'}),
        ('kd', {'kd'}),
        ('dkd', {'dkd'}),
        ('cwd', {'cwd'}),
        ('pkd', {'pkd'}),
        ('dskd', {'dskd_feature', 'dskd'}),
    ],
)
def test_each_method_writes_a_short_config_that_trains(
    method, losses, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    main([R20, R56, '--method', method])
    path = f'{method}_resnet56_cifar100_resnet20_cifar100.py'
    text = (tmp_path / path).read_text()
    assert len(text.splitlines()) <= 25
    assert path in capsys.readouterr().out
    log = step(load_config(path))
    names = {
        key.removeprefix('distill.loss_')
        for key, value in log.items()
        if key.startswith('distill.loss_') and value > 0
    }
    assert names and names <= losses


def test_logits_whose_denoiser_dwarfs_the_teacher_stay_as_they_are(tmp_path):
    # 16 C^2 weights beside less than a million; ImageNet-21k is worse.
    names = []
    for base in (R20, R56):
        path = tmp_path / base.rpartition('/')[2]
        base = str(folder_of('mmdiffkd') / base.split('::')[1])
        path.write_text(TEN.format(name=base).replace('=10)', '=1000)'))
        names.append(str(path))
    written = write_config(*names)
    assert 'Logits are compared as they are' in written.text
    cfg = mmdiffkd.distill_config(*names)
    assert set(cfg.model.distiller.pairs) == {'kd_feature', 'kd_logits'}
    assert 'connector' not in cfg.model.distiller.pairs.kd_logits
    log = step(cfg)
    assert log['distill.loss_kd_logits'] > 0
    assert log['distill.loss_kd_feature'] > 0


def test_other_classes_mean_features_only_and_it_says_so(ten):
    written = write_config(R20, ten)
    said = written.text.replace('\n# ', ' ')
    assert '(100 classes and 10 classes at each place): features only' in said
    assert 'TODO' in written.text  # no metafile names a checkpoint
    cfg = mmdiffkd.distill_config(R20, ten)
    assert list(cfg.model.distiller.pairs) == ['kd']
    assert step(cfg)['distill.loss_kd'] > 0


def test_tokens_and_maps_go_together_and_a_larger_student_warns(tmp_path):
    path = tmp_path / 'vit.py'
    path.write_text(VIT)
    cfg = mmdiffkd.distill_config(R20, str(path))
    pair = cfg.model.distiller.pairs.kd_feature
    # 8 x 8 of the convolutional student are more than 4 x 4 tokens.
    assert pair.connector.resize == 'area'
    assert pair.teacher.source.startswith('backbone.')
    assert step(cfg)['distill.loss_kd_feature'] > 0
    with pytest.warns(UserWarning, match='larger than its teacher'):
        mmdiffkd.distill_config(str(path), R20)


def test_a_frozen_backbone_has_no_feature_to_distil(tmp_path):
    path = tmp_path / 'frozen.py'
    path.write_text(
        VIT.replace('patch_size=8', 'patch_size=8, frozen_stages=12')
    )
    cfg = mmdiffkd.distill_config(str(path), R20)
    assert list(cfg.model.distiller.pairs) == ['kd_logits']
    with pytest.raises(UserError, match='have a gradient'):
        mmdiffkd.distill_config(str(path), R20, method='mimic')


def test_checkpoints_are_written_into_the_config(tmp_path, monkeypatch):
    file = tmp_path / 'student.pth'
    torch.save(weights(R20), file)
    monkeypatch.chdir(tmp_path)
    cfg = mmdiffkd.distill_config(
        R20, R56, teacher_ckpt='https://x/t.pth', student_ckpt='student.pth'
    )
    assert cfg.model.teacher_ckpt == 'https://x/t.pth'
    init = cfg.model.architecture.init_cfg
    assert init == dict(type='Pretrained', checkpoint=str(file))


def test_a_checkpoint_of_another_model_is_found(ten, tmp_path, capsys):
    file = str(tmp_path / 'weights.pth')
    torch.save(dict(state_dict=weights(R20)), file)
    error = refusal(capsys, R20, R56, '--teacher-ckpt', file)
    assert 'does not fit the teacher' in error and 'missing' in error
    vit = tmp_path / 'vit.py'
    vit.write_text(VIT)
    error = refusal(capsys, str(vit), R56, '--student-ckpt', file)
    assert 'does not fit the student' in error and 'backbone.*' in error
    torch.save(weights(R20.replace('20', '8x4')), file)
    error = refusal(capsys, R20, R56, '--student-ckpt', file)
    assert 'in the file' in error and 'backbone.' in error
    distilled = {f'architecture.{k}': v for k, v in weights(R20).items()}
    torch.save(dict(state_dict=distilled), file)
    error = refusal(capsys, R20, R56, '--student-ckpt', file)
    assert f'mmdiffkd export {file} student.pth' in error
    torch.save(dict(state_dict=[torch.ones(1)]), file)
    error = refusal(capsys, R20, R56, '--student-ckpt', file)
    assert 'holds no weights: its state_dict is a list' in error
    error = refusal(capsys, str(tmp_path), R56)
    assert 'is a folder; name a file in it' in error


def test_a_checkpoint_of_other_classes_or_depth_is_a_warning(ten, tmp_path):
    file = str(tmp_path / 'weights.pth')
    torch.save(weights(R56), file)
    with pytest.warns(
        UserWarning, match=r'2 weights \(such as head.fc.weight: '
    ):
        mmdiffkd.distill_config(ten, R56, student_ckpt=file)
    # A deeper network has all that a shallower one needs, and more.
    with pytest.warns(UserWarning, match='have no place in the student'):
        mmdiffkd.distill_config(R20, R56, student_ckpt=file)


def weights(name):
    """Of the model of a config."""
    named = read_named(name, 'student')
    return build_stock(named.config).state_dict()


def test_a_file_that_exists_is_kept(tmp_path, capsys):
    out = tmp_path / 'pair.py'
    out.write_text('mine')
    assert '--overwrite' in refusal(capsys, R20, R56, '-o', str(out))
    assert out.read_text() == 'mine'
    main([R20, R56, '-o', str(out), '--overwrite'])
    assert load_config(str(out)).model.type == 'mmdiffkd.FrozenTeacherDistill'
    assert list(tmp_path.iterdir()) == [out]


def test_what_cannot_be_a_pair_is_one_line(ten, tmp_path, capsys):
    wrong = R20.replace('resnet20', 'resnet21')
    assert R20 in refusal(capsys, wrong, R56)
    folder = 'mmpretrain::resnet18_8xb32_in1k.py'
    assert '::resnet/resnet18' in refusal(capsys, R20, folder)
    assert "'mmdet'" in refusal(capsys, 'mmdett::x.py', R56)
    assert 'no such file' in refusal(capsys, R20, R56, '--teacher-ckpt', 'x')
    error = refusal(capsys, R20, ten, '--method', 'dkd')
    assert '100' in error and '10' in error
    assert 'Methods that apply: diffkd, mimic' in error
    broken = tmp_path / 'broken.py'
    broken.write_text(VIT.replace('deit-tiny', 'deit-huge'))
    error = refusal(capsys, R20, str(broken))
    assert 'mmpretrain itself cannot build' in error
    distillation = 'mmdiffkd::cls/kd_r56_r20_cifar100.py'
    assert 'is a distillation itself' in refusal(capsys, R20, distillation)
    segmentor = 'mmdiffkd::demo/digits_seg_student.py'
    error = refusal(capsys, R20, segmentor)
    assert 'classification' in error and 'segmentation' in error


def test_the_list_has_both_models_side_by_side(capsys):
    main([R20, R56, '--list'])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if ' backbone data' in line)
    assert row.count('(1, 64, 64, 64) stride 4') == 2


@MODELS.register_module()
class OddBackbone(nn.Module):
    """Of a user: it has an auxiliary map in training, or worse."""

    def __init__(
        self, width: int = 8, fails: bool = False, traced: bool = False
    ) -> None:
        super().__init__()
        self.fails = fails
        self.stem = nn.Conv2d(3, width, 3, stride=4)
        if traced:
            self.stem = torch.jit.trace(self.stem, torch.ones(1, 3, 32, 32))
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        auxiliary = self.stem(x)
        feature = self.last(auxiliary)
        if self.fails:
            raise ValueError('my own error')
        return (auxiliary, feature) if self.training else (feature,)


@MODELS.register_module()
class TokenBackbone(nn.Module):
    """A transformer for images of any size: its tokens fill no fixed map."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 4, stride=4)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, batch_first=True
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        tokens = self.proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
        return (self.norm(self.layer(tokens)),)


@MODELS.register_module()
class FirstToken(nn.Module):
    def forward(self, x):
        return (x[-1][:, 0],)


def odd(path, **backbone):
    """The config of a classifier with that backbone, in a file."""
    backbone = dict(type='mmdiffkd.OddBackbone') | backbone
    tokens = backbone['type'] == 'mmdiffkd.TokenBackbone'
    neck = 'mmdiffkd.FirstToken' if tokens else 'GlobalAveragePooling'
    model = dict(
        type='ImageClassifier',
        backbone=backbone,
        neck=dict(type=neck),
        head=dict(
            type='LinearClsHead',
            num_classes=100,
            in_channels=backbone.get('width', 8),
            loss=dict(type='CrossEntropyLoss'),
        ),
    )
    path.write_text(f"default_scope = 'mmpretrain'\nmodel = {model!r}\n")
    return str(path)


def test_a_model_that_cannot_run_to_its_end_is_told(tmp_path, capsys):
    student = odd(tmp_path / 'student.py', fails=True)
    teacher = odd(tmp_path / 'teacher.py', width=16)
    for words in (['--list'], ['-o', str(tmp_path / 'pair.py')]):
        main([student, teacher, *words])
        out = capsys.readouterr().out
        assert out.count('warning: ') == 1
        assert 'pass of the student' in out and 'ValueError: my own' in out


def test_a_module_that_takes_no_hooks_is_passed_over(tmp_path, capsys):
    student = odd(tmp_path / 'student.py', traced=True)
    main([student, odd(tmp_path / 'teacher.py', width=16), '--list'])
    out = capsys.readouterr().out
    assert 'warning: ' not in out
    assert out.count('backbone.last:') == 2, 'of both sides'
    assert out.count('backbone.stem:') == 1, "the teacher's alone"


def test_the_last_map_is_counted_from_the_end(tmp_path):
    """In training the student gives an auxiliary map in front of it."""
    student = odd(tmp_path / 'student.py')
    teacher = odd(tmp_path / 'teacher.py', width=16)
    cfg = mmdiffkd.distill_config(student, teacher, method='mimic')
    cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    cfg.model.data_preprocessor = dict(mean=[0], std=[1])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).train()
    seen = []
    (connector,) = model.distiller.connectors.values()
    connector.register_forward_pre_hook(
        lambda _, given, named: seen.append(named['s_feature']),
        with_kwargs=True,
    )
    last = []
    model.student.backbone.last.register_forward_hook(
        lambda _, given, output: last.append(output)
    )
    images = torch.randn(2, 3, 32, 32)
    labels = [DataSample().set_gt_label(i) for i in range(2)]
    model(images, labels, mode='loss')
    assert torch.equal(seen[0], last[0])


def test_tokens_are_not_passed_over_for_the_map_of_patches(tmp_path):
    """The map lies in front of all attention."""
    kind = 'mmdiffkd.TokenBackbone'
    student = odd(tmp_path / 'student.py', type=kind)
    teacher = odd(tmp_path / 'teacher.py', type=kind, width=16)
    cfg = mmdiffkd.distill_config(student, teacher, method='mimic')
    assert cfg.model.distiller.pairs.mimic.source == 'backbone'


def test_methods_that_do_not_apply_either_are_not_named(tmp_path, capsys):
    student = odd(tmp_path / 'student.py')
    teacher = odd(tmp_path / 'teacher.py', type='mmdiffkd.TokenBackbone')
    error = refusal(capsys, student, teacher, '--method', 'mimic')
    assert 'tokens of one side fill no single map' in error
    methods = error.split('Methods that apply: ')[1].split()[0:9]
    assert 'kd,' in methods and not {'diffkd,', 'dskd'} & {*methods}
