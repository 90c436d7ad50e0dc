"""What is measured: the whole step, and its floor."""

import copy

import pytest
import torch
from helpers import task_toys, toys
from mmengine.config import Config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.engine.benchmark import memory, models
from mmdiffkd.engine.benchmark.counts import work_of
from mmdiffkd.engine.benchmark.measure import Settings, _try
from mmdiffkd.engine.benchmark.step import FloorStep, Step
from mmdiffkd.engine.estimate.costs import _told

CPU = torch.device('cpu')
SIZE = (64, 96)


def config(task='det', **model):
    """A distillation with momentum, which the optimizer keeps."""
    return Config(
        dict(
            default_scope=task_toys.SCOPES[task],
            model=dict(task_toys.algorithm(task), **model),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.5, momentum=0.9),
                accumulative_counts=4,
            ),
        )
    )


def step_of(cfg, build=models.build):
    return Step(*build(cfg), CPU, SIZE, 2)


def called(step, module):
    """Names of the parts of a module that a step calls."""
    names = set()
    hooks = [
        part.register_forward_hook(lambda *_, name=name: names.add(name))
        for name, part in module.named_modules()
    ]
    step()
    for hook in hooks:
        hook.remove()
    return names


def test_floor_runs_the_teacher_to_its_last_record_and_no_connector():
    whole = step_of(config())
    floor = FloorStep(whole)
    teacher, distiller = whole.model.teacher, whole.model.distiller
    # What is recorded is the neck; the head lies behind it. The neck's own
    # call does not return: it ends the pass.
    for step in (floor, whole):
        parts = called(step, teacher)
        assert {'backbone', 'neck.fpn_convs.2'} <= parts
        assert not any(name.startswith('bbox_head') for name in parts)
    assert not called(floor, distiller)
    assert 'connectors.diff_p3' in called(whole, distiller)
    # What the floor put in the place of the losses is away again.
    assert 'compute_distill_losses' not in vars(distiller)


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_floor_is_the_student_and_the_pass_of_the_teacher(task):
    """In multiply-adds, with the teacher's part counted by itself."""
    cfg = config(task)
    whole, alone = step_of(cfg), step_of(cfg, models.build_student)
    teacher = whole.model.teacher
    images = torch.rand(2, 3, *SIZE)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        if task == 'det':
            teacher.extract_feat(images)  # up to the neck
        else:
            teacher(images, mode='tensor')
    floor = FloorStep(whole)
    floor()  # the first one finds out what of the teacher is needed
    part = counter.get_total_flops() // 2
    if task == 'det':
        # Nobody looks at the third level: its last 3x3 convolution is left
        # out, 16 channels in and out at stride 32.
        part -= 2 * (64 // 32) * (96 // 32) * 16 * 16 * 9
    assert part > 0
    least = work_of(floor).multiply_adds
    assert least == work_of(alone).multiply_adds + part
    assert work_of(whole).multiply_adds > least


def test_steps_leave_the_weights_and_the_batch_as_they_are():
    step = step_of(config())
    before = copy.deepcopy(dict(step.model.named_parameters()))
    boxes = step.data['data_samples'][0].gt_instances.bboxes.tensor.clone()
    step()
    step()
    for name, value in step.model.named_parameters():
        assert torch.equal(value, before[name]), name
        # One step each: gradients are not left for later ones to add to.
        assert value.grad is None, name
    after = step.data['data_samples'][0].gt_instances.bboxes.tensor
    assert torch.equal(after, boxes)


def test_student_alone_is_the_one_of_the_config():
    alone, _ = models.build_student(config())
    student = models.student_of(models.build(config())[0])
    assert alone.state_dict().keys() == student.state_dict().keys()
    # As its library trains it: not changed for recorders.
    assert any(getattr(m, 'inplace', False) for m in alone.modules())


def test_nothing_is_downloaded(monkeypatch):
    """Weights that a config names are not looked for."""
    pretrained = dict(type='Pretrained', checkpoint='http://no.where/x.pth')
    student, teacher = toys.detector(), toys.detector(width=12, channels=24)
    student['backbone']['init_cfg'] = pretrained
    teacher['init_cfg'] = pretrained
    cfg = config(
        architecture=student,
        teacher=teacher,
        teacher_ckpt='http://no.where/y.pth',
        distiller=toys.distiller(),
        allow_random_teacher=False,
    )
    models.build(cfg)
    models.build_student(cfg)


def test_growth_is_the_most_that_is_allocated_at_a_time():
    def run():
        first = torch.empty(1000)
        second = torch.empty(500)
        del first
        third = torch.empty(250)
        del second, third
        return torch.empty(100)

    assert memory._growth_on_cpu(run) == 4 * 1500


def test_peak_memory_holds_weights_gradients_and_momentum():
    whole = step_of(config())
    whole()
    floor = FloorStep(whole)

    def size(module, part='parameters'):
        return sum(
            t.numel() * t.element_size() for t in getattr(module, part)()
        )

    student, teacher = whole.model.architecture, whole.model.teacher
    distiller = whole.model.distiller
    kept = sum(
        2 * size(part) + size(part, 'buffers') for part in (student, distiller)
    )
    still = size(teacher) + size(teacher, 'buffers')
    assert whole.resident() == kept + still
    without = 2 * size(distiller) + size(distiller, 'buffers')
    assert floor.resident() == kept + still - without
    gradients = size(student) + size(distiller)
    assert memory.peak_memory(whole, CPU) > kept + still + gradients


def test_mmrazors_own_algorithm_has_a_floor_too():
    cfg = config(type='mmrazor.SingleTeacherDistill')
    cfg.model.pop('allow_random_teacher')
    whole = step_of(cfg)
    floor = FloorStep(whole)
    teacher = called(floor, whole.model.teacher)
    assert {'neck', 'bbox_head'} <= teacher  # it runs all of it
    assert not called(floor, whole.model.distiller)
    recorders = whole.model.distiller.teacher_recorders.recorders
    assert not any(r.data_buffer for r in recorders.values())
    assert isinstance(models.teacher_of(whole.model), nn.Module)


class OfTheUser(nn.Module):
    def forward(self, x):
        return self.no_such_layer(x)


def test_a_slip_of_the_users_class_keeps_its_traceback():
    """It is no matter of the size of images."""
    settings = Settings(batch_size=1, size=(64, 64))
    with pytest.raises(AttributeError, match='no_such_layer'):
        _try(lambda: OfTheUser()(torch.ones(1)), 'it', settings)
    with pytest.raises(AttributeError), _told(1, (64, 64)):
        OfTheUser()(torch.ones(1))
