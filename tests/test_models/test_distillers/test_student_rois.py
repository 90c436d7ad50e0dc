# Copyright (c) mmdiffkd contributors.
"""The teacher's RoI head on the student's RoIs, against calls by hand."""

import copy

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from helpers import toys
from helpers import two_stage_toys as two
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mmdiffkd.utils import UserError

GREY = dict(
    mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=False
)
TEACHERS = dict(
    faster=two.faster_rcnn(width=12, channels=24),
    cascade=two.cascade_rcnn(width=12, channels=24),
    shared_head=two.without_neck(),
    hybrid_task=two.hybrid_task_cascade(width=12, channels=24),
    other_input=two.faster_rcnn(width=12, channels=24, norm=GREY),
)


def build(**overrides):
    torch.manual_seed(0)
    return toys.build(two.algorithm(**overrides))


def watch(model):
    """Keep what the student proposes and what the losses are given."""
    seen = dict(rois=[], cls=[], reg=[])

    def keep_rois(module, inputs):
        seen['rois'].append(inputs[1].clone())

    def keep_teacher(name):

        def hook(module, args, kwargs):
            key = 'logits_T' if name == 'cls' else 'preds_T'
            seen[name].append(kwargs[key].clone())

        return hook

    extractor = model.student.roi_head.bbox_roi_extractor
    if isinstance(extractor, torch.nn.ModuleList):
        extractor = extractor[0]
    extractor.register_forward_pre_hook(keep_rois)
    for name in ('cls', 'reg'):
        model.distiller.distill_losses[
            f'loss_{name}'
        ].register_forward_pre_hook(keep_teacher(name), with_kwargs=True)
    return seen


@torch.no_grad()
def by_hand(model, data, rois):
    """The teacher from the pixels to its first box head."""
    teacher, head = model.teacher, model.teacher.roi_head
    inputs = teacher.data_preprocessor(copy.deepcopy(data), False)['inputs']
    maps = teacher.backbone(inputs)
    maps = teacher.neck(maps) if teacher.with_neck else maps
    first = (
        (lambda m: m[0])
        if isinstance(head.bbox_head, torch.nn.ModuleList)
        else (lambda m: m)
    )
    extractor = first(head.bbox_roi_extractor)
    features = extractor(maps[: len(extractor.featmap_strides)], rois)
    if head.with_shared_head:
        features = head.shared_head(features)
    if getattr(head, 'with_semantic', False):
        _, semantic = head.semantic_head(maps)
        features += head.semantic_roi_extractor([semantic], rois)
    return first(head.bbox_head)(features)


@pytest.mark.parametrize('name', TEACHERS)
def test_the_teacher_answers_for_the_students_rois_of_each_step(name):
    model = build(teacher=TEACHERS[name])
    seen = watch(model)
    for step in range(2):
        data = toys.batch(seed=step)
        losses = toys.losses(model, copy.deepcopy(data))
        rois = seen['rois'][step]
        assert rois.shape == (32, 5)  # 16 sampled in each of 2 images
        cls, reg = by_hand(model, data, rois)
        torch.testing.assert_close(seen['cls'][step], cls)
        torch.testing.assert_close(seen['reg'][step], reg)
        assert losses['distill.loss_cls'] > 0 < losses['distill.loss_reg']
    assert not torch.equal(*seen['rois'])


def test_only_known_features_of_the_image_are_added():
    """Of a head of one's own, ``bbox_head`` is no branch of the image."""
    model = build()
    kind = type(model.teacher.roi_head)

    class Own(kind):
        def _bbox_forward(self, x, rois, bbox_feat=None):
            assert bbox_feat is None
            return super()._bbox_forward(x, rois)

    model.teacher.roi_head.__class__ = Own
    assert toys.losses(model)['distill.loss_reg'] > 0


def test_a_cascade_student_is_asked_for_its_first_stage():
    model = build(architecture=two.cascade_rcnn(), teacher=TEACHERS['cascade'])
    seen = watch(model)
    data = toys.batch()
    toys.losses(model, copy.deepcopy(data))
    _, reg = by_hand(model, data, seen['rois'][0])
    torch.testing.assert_close(seen['reg'][0], reg)
    assert len(seen['reg']) == 1


def test_neither_rpn_nor_later_stages_of_the_teacher_run():
    model = build(teacher=TEACHERS['cascade'])
    for module in (
        model.teacher.rpn_head.rpn_conv,
        model.teacher.roi_head.bbox_head[1],
    ):
        module.register_forward_pre_hook(
            lambda *args: pytest.fail('ran for nothing')
        )
    toys.losses(model)


def test_gradients_reach_the_student_and_not_the_teacher():
    model = build()
    losses = toys.losses(model)
    losses['distill.loss_reg'].backward()
    head = model.student.roi_head.bbox_head
    for part in (
        head.fc_reg,
        head.shared_fcs,
        model.student.neck,
        model.student.backbone,
    ):
        assert max(p.grad.abs().sum() for p in part.parameters()) > 0
    assert head.fc_cls.weight.grad is None
    assert all(p.grad is None for p in model.teacher.parameters())
    assert not model.teacher.roi_head.training


def test_regression_alone_brings_the_boxes_nearer():
    model = build(calculate_student_loss=False, student_trainable=True)
    optimizer = OptimWrapper(
        torch.optim.SGD(model.student.roi_head.parameters(), lr=0.3)
    )
    # All regression outputs to begin with are near 0; give it work.
    with torch.no_grad():
        model.teacher.roi_head.bbox_head.fc_reg.bias.fill_(1.0)
    model.train()
    log = [
        model.train_step(toys.batch(), optimizer)['distill.loss_reg'].item()
        for _ in range(20)
    ]
    assert log[-1] < 0.1 * log[0]


def test_deliveries_run_all_of_the_teacher_and_change_no_record():
    cfg = two.distiller()
    cfg['distill_deliveries'] = dict(
        anchors=dict(
            type='MethodOutputs',
            max_keep_data=1,
            method_path='mmdet.models.dense_heads.RPNHead.get_anchors',
        )
    )
    model = build(distiller=cfg)
    seen = watch(model)
    data = toys.batch()
    toys.losses(model, copy.deepcopy(data))
    cls, _ = by_hand(model, data, seen['rois'][0])
    torch.testing.assert_close(seen['cls'][0], cls)


def test_nothing_runs_after_the_stop():
    model = build()
    model.distillation_stopped = True
    model.teacher.roi_head.bbox_head.register_forward_pre_hook(
        lambda *args: pytest.fail('ran after the stop')
    )
    assert not any(k.startswith('distill') for k in toys.losses(model))


def test_nothing_is_kept_and_copies_distil_alike():
    model = build()
    toys.losses(model)
    for manager in (
        model.distiller.student_recorders,
        model.distiller.teacher_recorders,
    ):
        assert len(manager.recorders) == 3
        assert all(not r.data_buffer for r in manager.recorders.values())
    twin = copy.deepcopy(model)
    results = []
    for net in (model, twin):
        torch.manual_seed(1)  # of the samplers
        results.append(toys.losses(net))
    torch.testing.assert_close(*results)


def test_half_precision(monkeypatch):
    model = build(teacher=TEACHERS['cascade'])
    seen = watch(model)
    # MMCV's NMS on a CPU takes single precision, so the student does.
    task = model._student_losses
    monkeypatch.setattr(
        model, '_student_losses', torch.autocast('cpu', enabled=False)(task)
    )
    data = toys.batch()
    with torch.autocast('cpu', torch.float16):
        losses = toys.losses(model, copy.deepcopy(data))
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert seen['reg'][0].dtype == torch.float16
    _, reg = by_hand(model, data, seen['rois'][0])
    torch.testing.assert_close(seen['reg'][0].float(), reg, atol=1e-2, rtol=0)


def test_an_image_without_objects_is_no_obstacle():
    model = build()
    data = toys.batch()
    for sample in data['data_samples']:
        sample.gt_instances = sample.gt_instances[:0]
    total, _ = model.parse_losses(toys.losses(model, data))
    assert torch.isfinite(total)


def test_one_stage_detectors_have_no_rois():
    with pytest.raises(
        UserError,
        match='the teacher RetinaNet has no '
        'roi_head.bbox_head; .*student_rois=False',
    ):
        build(teacher=toys.detector())


def test_boxes_encoded_otherwise_are_refused():
    teacher = two.faster_rcnn(stds=[0.05, 0.05, 0.1, 0.1])
    with pytest.raises(
        UserError,
        match=r'teacher encodes boxes by .*0\.05.*'
        r'student by .*0\.1,',
    ):
        build(teacher=teacher)
    cfg = two.distiller()
    for key in ('student_recorders', 'teacher_recorders'):
        cfg[key] = dict(cls=cfg[key]['cls'])
    for key in ('distill_losses', 'loss_forward_mappings'):
        cfg[key].pop('loss_reg')
    build(teacher=teacher, distiller=cfg)  # classes can be compared


@pytest.mark.parametrize('loss', ['cls', 'reg'])
def test_other_classes_name_both_shapes(loss):
    cfg = two.distiller()
    keep = f'loss_{loss}'
    for key in ('distill_losses', 'loss_forward_mappings'):
        cfg[key] = {keep: cfg[key][keep]}
    model = build(teacher=two.faster_rcnn(classes=5), distiller=cfg)
    own, other = (4, 6) if loss == 'cls' else (12, 20)
    with pytest.raises(UserError, match=rf'\(32, {own}\).*\(32, {other}\)'):
        toys.losses(model)


def test_the_teachers_own_rois_are_no_substitute():
    cfg = dict(two.distiller(), student_rois=False)
    cfg['distill_losses'].pop('loss_cls')
    cfg['loss_forward_mappings'].pop('loss_cls')
    with pytest.raises(UserError, match='student_rois=True'):
        toys.losses(build(distiller=cfg))


def test_mmrazors_own_algorithm_is_refused():
    cfg = two.algorithm(type='mmrazor.SingleTeacherDistill')
    cfg.pop('allow_random_teacher')
    with pytest.raises(UserError, match='needs the algorithm mmdiffkd.Froz'):
        toys.losses(toys.build(cfg))


def _train(rank, init_file, queue):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{init_file}', rank=rank, world_size=2
    )
    model = build(teacher=TEACHERS['cascade'])
    wrapped = MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False
    )
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    names = []
    for step in range(3):
        model.train()
        model.distillation_stopped = step == 2
        data = toys.batch(seed=10 * step + rank)
        names.append(sorted(wrapped.train_step(data, optimizer)))
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    queue.put((rank, names, weights.double().sum().item()))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_need_no_search_for_unused_parameters(tmp_path):
    context = mp.get_context('spawn')
    queue = context.Queue()
    processes = [
        context.Process(target=_train, args=(rank, tmp_path / 'init', queue))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    ranks = sorted(queue.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert ranks[0][1:] == ranks[1][1:]
    _, names, _ = ranks[0]
    assert 'distill.loss_reg' in names[1]
    assert 'distill.loss_reg' not in names[2]
