# Copyright (c) mmdiffkd contributors.
import copy
import gc
import weakref

import pytest
import torch
from helpers import dskd_toys, task_toys
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper, build_optim_wrapper

from mmdiffkd.models import DSKDConnector
from mmdiffkd.models.connectors.teacher_head import TeacherHead
from mmdiffkd.utils import UserError

TASKS = task_toys.TASKS


def teacher_features(model, task):
    """The teacher's feature and, from its own pass, its class scores."""
    records = {}
    source, index, _, _, guide = dskd_toys.PLACES[task]
    head = (
        guide['head']
        if isinstance(guide['head'], str)
        else (guide['head'][-1])
    )
    for name, key in ((source, 'feature'), (head, 'scores')):
        model.teacher.get_submodule(name).register_forward_hook(
            lambda m, args, out, key=key: records.update(
                {key: records.get(key, out)}
            )
        )
    data = model.data_preprocessor(task_toys.batch(task), False)
    with torch.no_grad():
        model.teacher(data['inputs'], data['data_samples'], mode='tensor')
    feature = records['feature']
    return feature if index is None else feature[index], records['scores']


def connector_of(model):
    return model.distiller.connectors['dskd']


@pytest.mark.parametrize('task', TASKS)
def test_the_head_scores_as_in_the_teachers_own_pass(task):
    torch.manual_seed(0)
    model = dskd_toys.build(task)
    feature, scores = teacher_features(model, task)
    head = connector_of(model).teacher_head
    ours = head.logits(feature)
    torch.testing.assert_close(
        ours.flatten(1) if task == 'cls' else ours, scores
    )
    target = head.predict(feature)
    if task == 'det':
        assert torch.equal(target, (scores.sigmoid() > 0.5).float())
        expected = (
            torch.distributions.Bernoulli(logits=scores)
            .log_prob(target)
            .flatten(1)
            .sum(1)
        )
    else:
        assert torch.equal(target.flatten(), scores.argmax(1).flatten())
        expected = (
            scores.softmax(1).amax(1).log().flatten(1)
            if (task == 'seg')
            else scores.softmax(1).amax(1, keepdim=True).log()
        )
        expected = expected.sum(1)
    torch.testing.assert_close(head.log_prob(target)(feature), expected)


@pytest.mark.parametrize('task', TASKS)
def test_a_step_trains_student_and_connector_but_not_the_teacher(task):
    torch.manual_seed(0)
    model = dskd_toys.build(task)
    before = copy.deepcopy(model.teacher.state_dict())
    total, log = model.parse_losses(dskd_toys.losses(model, task))
    total.backward()
    for name in (
        'loss_dskd',
        'dskd.loss_diff',
        'dskd.log_prob',
        'dskd.feature_scale',
    ):
        assert torch.isfinite(log[f'distill.{name}']).all(), name
    assert log['distill.dskd.log_prob'] < 0
    assert not [n for n, p in model.named_parameters() if p.grad is None]
    assert all(p.grad is None for p in model.teacher.parameters())
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize('task', TASKS)
def test_distillation_alone_reaches_the_student(task):
    model = dskd_toys.build(task)
    dskd_toys.losses(model, task)['distill.loss_dskd'].backward()
    grads = [p.grad for p in model.student.backbone.parameters()]
    assert sum(g.abs().sum() for g in grads if g is not None) > 0
    assert all(p.grad is None for p in model.teacher.parameters())


@pytest.mark.parametrize('task', TASKS)
def test_a_training_step_changes_student_and_connector(task):
    torch.manual_seed(0)
    model = dskd_toys.build(task)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.01))
    before = {k: p.clone() for k, p in model.named_parameters()}
    model.train()
    log = model.train_step(task_toys.batch(task), wrapper)
    assert all(torch.isfinite(value).all() for value in log.values())
    changed = {
        '.'.join(k.split('.')[:2])
        for k, p in model.named_parameters()
        if not torch.equal(p, before[k])
    }
    assert {'architecture.backbone', 'distiller.connectors'} <= changed


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize(
    'options',
    [
        dict(n=1),
        dict(dtype=torch.bfloat16),
        dict(dtype=torch.float16),
        dict(with_cp=True),
    ],
    ids=str,
)
def test_batch_of_one_amp_and_checkpointing(task, options):
    torch.manual_seed(0)
    model = dskd_toys.build(
        task, connector=dict(with_cp=options.get('with_cp', False))
    )
    dtype = options.get('dtype')
    with torch.autocast(
        'cpu', dtype=dtype or torch.bfloat16, enabled=dtype is not None
    ):
        total, _ = model.parse_losses(
            dskd_toys.losses(model, task, n=options.get('n', 2))
        )
    assert torch.isfinite(total)
    total.backward()
    for name, p in model.distiller.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
    assert all(p.grad is None for p in model.teacher.parameters())


def test_the_teacher_is_no_part_of_the_connector():
    model = dskd_toys.build('cls')
    connector = connector_of(model)
    teacher = {id(p) for p in model.teacher.parameters()}
    assert connector.teacher_head.modules[0] is model.teacher.head.fc
    assert not any('teacher_head' in n for n, _ in model.named_modules())
    assert not any('teacher' in key for key in model.state_dict())
    assert teacher.isdisjoint(id(p) for p in model.parameters())
    wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.1))
    )
    assert teacher.isdisjoint(
        id(p) for g in wrapper.param_groups for p in g['params']
    )


def test_copies_share_the_teachers_head():
    torch.manual_seed(0)
    model = dskd_toys.build('cls')
    dskd_toys.losses(model, 'cls')
    average = ExponentialMovingAverage(model)
    alone = copy.deepcopy(connector_of(model))
    for twin in (connector_of(average.module), alone):
        assert twin.teacher_head.modules[0] is model.teacher.head.fc
    a = dskd_toys.losses(model, 'cls')
    b = dskd_toys.losses(average.module, 'cls')
    assert torch.equal(a['distill.loss_dskd'], b['distill.loss_dskd'])


def test_the_connector_keeps_no_feature_alive():
    model = dskd_toys.build('cls')
    alive = []
    connector_of(model).register_forward_pre_hook(
        lambda m, args, kwargs: alive.extend(
            weakref.ref(x) for x in kwargs.values()
        ),
        with_kwargs=True,
    )
    losses = dskd_toys.losses(model, 'cls')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    del losses
    gc.collect()
    assert len(alive) == 2 and all(ref() is None for ref in alive)


def test_weights_of_the_teacher_that_are_loaded_later_are_used():
    """The distiller meets the teacher before its checkpoint is loaded."""
    model = dskd_toys.build('cls')
    feature = torch.randn(2, 96, 3, 3)
    head = connector_of(model).teacher_head
    before = head.logits(feature)
    state = {k: v + 1 for k, v in model.teacher.head.state_dict().items()}
    model.teacher.head.load_state_dict(state)
    assert not torch.equal(before, head.logits(feature))
    model.double()
    assert head.logits(feature.double()).dtype == torch.float64


def test_scale_zero_and_no_guidance_equal_to_the_bit_and_ask_no_head():
    results = []
    for scale in (0.0, None, 2.0):
        torch.manual_seed(0)
        options = dict(seed=0)
        if scale is None:
            options['guidance'] = None
        connector = (
            DSKDConnector(
                64,
                96,
                **{
                    'guidance': dict(head='head.fc', pool=True, scale=scale),
                    **options,
                },
            )
            if scale is not None
            else DSKDConnector(64, 96, **options)
        )
        if scale:
            connector.prepare_from_teacher(dskd_toys.build('cls').teacher)
        generator = torch.Generator().manual_seed(1)
        features = (
            torch.randn(2, 64, 4, 4, generator=generator),
            torch.randn(2, 96, 4, 4, generator=generator),
        )
        results.append(connector(*features).teacher)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize('task', ['cls', 'seg'])
def test_labels_are_the_target_if_asked_for(task):
    torch.manual_seed(0)
    model = dskd_toys.build(task, labels=True, target='label')
    seen = []
    head = connector_of(model).teacher_head
    original = head.log_prob
    head.log_prob = lambda target: seen.append(target) or original(target)
    dskd_toys.losses(model, task)
    samples = task_toys.batch(task)['data_samples']
    (target,) = seen
    if task == 'cls':
        expected = torch.cat([s.gt_label for s in samples])
        assert torch.equal(target.flatten(), expected)
    else:
        # The map has half the height and width of the labels.
        labels = torch.cat([s.gt_sem_seg.data for s in samples])
        step = labels.shape[-1] // target.shape[-1]
        assert step > 1
        assert torch.equal(target, labels[:, ::step, ::step])


def test_mapped_labels_are_unused_for_the_teachers_target():
    model = dskd_toys.build('cls', labels=True)
    head = connector_of(model).teacher_head
    head.from_labels = lambda *args: pytest.fail('labels were used')
    dskd_toys.losses(model, 'cls')


def test_shares_of_classes_weight_the_log_probabilities():
    model = dskd_toys.build('cls')
    head = connector_of(model).teacher_head
    feature = torch.randn(2, 96, 3, 3)
    shares = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    value = head.log_prob(head.from_labels(shares, feature))(feature)
    scores = model.teacher.head.fc(feature.mean(dim=(2, 3))).log_softmax(1)
    torch.testing.assert_close(value, (scores * shares).sum(1))


def test_labels_of_anchors_are_the_target_of_a_dense_sigmoid_head():
    torch.manual_seed(0)
    model = dskd_toys.build('det', labels=True, target='label')
    seen, given = [], []
    head = connector_of(model).teacher_head
    original = head.log_prob
    head.log_prob = lambda target: seen.append(target) or original(target)
    # The first of its calls is that for the first level.
    model.student.bbox_head.loss_cls.register_forward_pre_hook(
        lambda module, args: given.append(args[1])
    )
    log = dskd_toys.losses(model, 'det')
    assert torch.isfinite(log['distill.dskd.log_prob'])
    target, labels = seen[0], given[0]
    assert (labels < 3).any(), 'some anchor has an object'
    n, classes, height, width = target.shape
    assert classes == 3 and set(target.unique().tolist()) == {0.0, 1.0}
    for i, label in enumerate(labels.view(n, height, width).flatten()):
        position = target[i // (height * width)].flatten(1)[
            :, i % (height * width)
        ]
        assert position.nonzero().flatten().tolist() == (
            [] if label == 3 else [label]
        )


def test_scores_of_several_anchors_are_ordered_as_in_the_task_loss():
    torch.manual_seed(0)
    teacher = torch.nn.Module()
    teacher.cls = torch.nn.Conv2d(4, 2 * 3, 3, padding=1)
    head = TeacherHead(teacher, 'cls', 4, activation='sigmoid')
    feature = torch.randn(2, 4, 2, 3)
    labels = torch.randint(4, (2 * 2 * 3 * 2,))
    value = head.log_prob(head.from_labels(labels, feature))(feature)
    scores = teacher.cls(feature).permute(0, 2, 3, 1).reshape(-1, 3)
    hot = torch.nn.functional.one_hot(labels, 4)[:, :3].float()
    expected = torch.distributions.Bernoulli(logits=scores).log_prob(hot)
    torch.testing.assert_close(value, expected.view(2, -1).sum(1))
    with pytest.raises(
        UserError,
        match=r'one class for each anchor of 2 x 2 '
        "x 3 positions with 6 scores.*target='teacher'",
    ):
        head.from_labels(labels[1:], feature)


def test_ignored_labels_pull_at_nothing():
    model = dskd_toys.build('seg')
    head = connector_of(model).teacher_head
    feature = torch.randn(1, 8, 4, 4, requires_grad=True)
    labels = torch.full((1, 1, 8, 8), 255)
    labels[..., :2, :2] = 1
    target = head.from_labels(labels, feature)
    (grad,) = torch.autograd.grad(
        head.log_prob(target)(feature).sum(), feature
    )
    assert grad[0, :, 0, 0].abs().sum() > 0
    grad[0, :, 0, 0] = 0
    assert grad.abs().sum() == 0


@pytest.mark.parametrize('scale', [0.5, 5.0])
@pytest.mark.parametrize('task', TASKS)
def test_guidance_raises_the_log_probability_on_every_step(task, scale):
    """The teachers' own heads, RetinaNet's with convolutions before it."""
    torch.manual_seed(0)
    model = dskd_toys.build(task, scale=scale).double()
    feature, _ = teacher_features(model, task)
    student = torch.randn(
        2, dskd_toys.PLACES[task][2], *feature.shape[2:]
    ).double()
    connector = connector_of(model)
    core = connector.diffusion
    guidance = connector._guide(feature, None)
    rises = []
    sampler = core.sampler.forward

    def watched(denoiser, x, guidance):

        def call(x, noise, alpha):
            hat = guidance(x, noise, alpha)
            plain, guided = (
                guidance.log_prob((x - (1 - alpha) ** 0.5 * eps) / alpha**0.5)
                for eps in (noise, hat)
            )
            rises.append(guided - plain)
            return hat

        return sampler(denoiser, x, call)

    core.sampler.forward = watched
    core(student, feature, guidance=guidance)
    assert len(rises) == 5
    assert all((rise > 0).all() for rise in rises), rises


@pytest.mark.parametrize(
    'task, guidance, message',
    [
        (
            'cls',
            dict(head='head.fcc'),
            "connector 'dskd': guidance.head 'head.fcc' is not a module of "
            "the teacher ImageClassifier; the closest are 'head.fc'",
        ),
        ('cls', dict(head='neck'), r"guidance.head \['neck'\] holds no conv"),
        (
            'seg',
            dict(head='decode_head.convs.0.conv'),
            "'decode_head.convs.0.conv' takes 96 channels, but "
            'teacher_channels=8',
        ),
        (
            'det',
            dict(head='bbox_head.fc_cls'),
            "'bbox_head.fc_cls' is not a module of the teacher RetinaNet; .*"
            "'bbox_head.retina_cls'",
        ),
        ('cls', dict(scale=-1.0), 'guidance.scale: .*0 or larger, got -1.0'),
        ('cls', dict(scale='a'), 'guidance.scale'),
        (
            'cls',
            dict(target='labels'),
            r'guidance.target must be one of '
            r"\['teacher', 'label'\], got 'labels'",
        ),
        ('cls', dict(activation='relu'), 'guidance.activation must be one of'),
        (
            'cls',
            dict(heads='head.fc'),
            "unknown key 'heads'; the closest are 'head'",
        ),
        ('cls', dict(head=None), 'guidance.head must name'),
    ],
)
def test_a_wrong_guidance_is_an_error_at_build(task, guidance, message):
    with pytest.raises(UserError, match=message):
        dskd_toys.build(task, **guidance)


@pytest.mark.parametrize(
    'task, options, message',
    [
        ('cls', dict(target='label'), 'needs the argument `labels`'),
        (
            'cls',
            dict(target='label', labels=True, pool=False),
            r'labels of shape \(2,\) do not fit a head with pool=False',
        ),
        (
            'seg',
            dict(target='label', labels=True, activation='sigmoid'),
            "set guidance.target='teacher'",
        ),
        (
            'cls',
            dict(head='head'),
            r'not into class scores; name the last layer',
        ),
        ('cls', dict(student_channels=63), 'set student_channels=64'),
    ],
)
def test_what_only_a_batch_can_tell_is_a_clear_error_too(
    task, options, message
):
    model = dskd_toys.build(task, **options)
    with pytest.raises(
        UserError, match=f"connector 'dskd'.*{message}|{message}"
    ):
        dskd_toys.losses(model, task)


def test_a_misspelt_option_is_named():
    with pytest.raises(
        UserError,
        match='DSKDConnector does not take '
        "'latent_chanels'; the closest are 'latent_channels'",
    ):
        DSKDConnector(8, 8, latent_chanels=4)


def test_without_a_distiller_the_missing_teacher_is_named():
    connector = DSKDConnector(8, 8, guidance=dict(head='head.fc'))
    with pytest.raises(UserError, match='type=mmdiffkd.DiffKDDistiller'):
        connector(*torch.randn(2, 2, 8, 4, 4))


def test_it_works_under_mmrazors_own_algorithm():
    cfg = dskd_toys.algorithm('cls')
    cfg.update(type='mmrazor.SingleTeacherDistill')
    cfg.pop('allow_random_teacher')
    model = task_toys.build('cls', cfg)
    total, log = model.parse_losses(dskd_toys.losses(model, 'cls'))
    total.backward()
    assert 'distill.dskd.log_prob' in log
    assert all(p.grad is None for p in model.teacher.parameters())


def test_state_dict_round_trip():
    torch.manual_seed(0)
    model = dskd_toys.build('cls')
    dskd_toys.losses(model, 'cls')
    other = dskd_toys.build('cls')
    result = other.load_state_dict(model.state_dict())
    assert not result.missing_keys and not result.unexpected_keys
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    loss = other.distiller.distill_losses['loss_dskd']
    assert loss.count == int(loss.iteration) == 1
