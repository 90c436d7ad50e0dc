# Copyright (c) mmdiffkd contributors.
"""The order of a sweep and its teachers follow from the zoo alone."""

from mmdiffkd.engine.sweep.order import stratified, teacher_of


def model(path, millions=10, library='mmdet', **values):
    family = path.split('/')[0]
    return dict(
        library=library,
        family=family,
        config=f'{library}::{path}',
        kind='det',
        parameters=millions,
        classes=[80],
        detector='GFL',
        **values,
    )


def test_one_of_each_family_comes_before_a_second_one():
    rows = [model('a/1.py'), model('a/2.py'), model('a/3.py'), model('b/1.py')]
    rows.append(model('a/9.py', library='mmseg'))
    names = [row['config'] for row in stratified(rows)]
    assert set(names[:3]) == {
        'mmdet::a/1.py',
        'mmdet::b/1.py',
        'mmseg::a/9.py',
    }
    assert names[3:] == ['mmdet::a/2.py', 'mmdet::a/3.py']


def test_the_teacher_is_the_next_larger_of_its_family():
    small, middle = model('a/s.py', 10), model('a/m.py', 20)
    zoo = [small, middle, model('a/l.py', 40), model('b/m.py', 15)]
    assert teacher_of(small, zoo) is middle
    near = [small, model('a/same.py', 11)]
    assert teacher_of(small, near) is small


def test_equal_classes_and_types_come_before_size():
    student = model('a/s.py', 10)
    others = dict(model('a/o.py', 20), classes=[20])
    mask = dict(model('a/mask.py', 30), detector='MaskRCNN')
    same = model('a/same.py', 40)
    assert teacher_of(student, [others, mask, same]) is same
    assert teacher_of(student, [others, mask]) is mask
    assert teacher_of(student, [others]) is others
