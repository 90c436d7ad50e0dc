# Copyright (c) mmdiffkd contributors.
import json

import pytest

from mmdiffkd.visualization.detections import Box, match, read_predictions
from mmdiffkd.visualization.task_view import spread

TRUTH = [Box((0, 0, 10, 10), 1), Box((20, 0, 10, 10), 2)]


@pytest.mark.parametrize(
    'found, answers',
    [
        ([Box((0, 0, 10, 10), 1)], [True]),
        ([Box((0, 0, 10, 10), 2)], [False]),
        ([Box((0, 0, 10, 4), 1)], [False]),
        ([Box((0, 0, 10, 10), 1), Box((0, 1, 10, 10), 1)], [True, False]),
        ([Box((0, 1, 10, 10), 1), Box((21, 0, 10, 10), 2)], [True, True]),
        ([], []),
    ],
)
def test_match_counts_each_truth_once(found, answers):
    assert match(found, TRUTH) == answers


def test_without_truth_everything_is_false():
    assert match([Box((0, 0, 9, 9), 1)], []) == [False]


def test_predictions_are_sorted_and_cut_at_the_score(tmp_path):
    path = tmp_path / 'x.bbox.json'
    rows = [
        dict(image_id=7, category_id=1, bbox=[0, 0, 1, 1], score=score)
        for score in (0.31, 0.9, 0.29)
    ]
    path.write_text(json.dumps(rows))
    found = read_predictions(path, 0.3)
    assert [box.score for box in found[7]] == [0.9, 0.31]


def test_images_are_spread_over_the_split():
    assert spread(list(range(200)), 4) == [0, 50, 100, 150]
    assert spread([5, 6], 4) == [5, 5, 6, 6]
