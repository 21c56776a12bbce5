"""What counts as found and as false, and the pictures that detectors are measured on."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import detection_limit, detection_scores, detection_sets
from benchmarks.detection_scores import Judged, Result, counts, judge, thresholds_by_false_finds, together
from benchmarks.detection_sets import Scene
from benchmarks.drawn_textures import SIDE, draw_texture
from kp_tf.core.mean_face import MeanFace

FACES = np.array([(100, 100, 100, 100), (300, 100, 100, 100)], float)
IGNORED = np.array([(500, 100, 50, 50)], float)
SCENE = Scene(Path("a.jpg"), FACES, np.zeros(2), IGNORED)


def test_a_face_is_found_by_a_box_that_overlaps_and_whose_centre_is_in_it():
    boxes = np.array([(110, 110, 100, 100), (120, 100, 100, 100), (330, 130, 20, 20), (510, 110, 9, 9), (0, 0, 50, 50)])
    judged = judge(SCENE, Result(boxes.astype(float), np.array([0.5, 0.7, 0.9, 0.95, 0.6])))
    np.testing.assert_array_equal(judged.faces, [0.7, -np.inf], err_msg="the third box is too small")
    np.testing.assert_array_equal(judged.false, [0.6], err_msg="what is in a face or ignored is not false")
    assert counts(judged, 0.55) == {"faces": 2, "found": 1, "false": 1}
    assert counts(judged, 0.8) == {"faces": 2, "found": 0, "false": 0}


def test_a_box_of_good_overlap_with_its_centre_elsewhere_finds_nothing():
    large = Result(np.array([[100.0, 149, 150, 110]]), np.ones(1))
    scene = Scene(Path("a.jpg"), np.array([[100.0, 100, 150, 100]]), np.zeros(1))
    assert judge(scene, large).faces[0] == -np.inf


def test_nothing_is_false_where_other_faces_are_not_labelled():
    scene = Scene(Path("a.jpg"), FACES, np.zeros(2), is_complete=False)
    assert not len(judge(scene, Result(np.array([[0.0, 0, 9, 9]]), np.ones(1))).false)


def test_no_detection_is_a_result():
    judged = judge(SCENE, Result(np.zeros((0, 4)), np.zeros(0)))
    assert counts(together([judged, judged]), 0) == {"faces": 4, "found": 0, "false": 0}
    assert counts(together([]), 0) == {"faces": 0, "found": 0, "false": 0}


def test_thresholds_allow_so_many_false_finds():
    scores = np.linspace(0.1, 0.9, 17)
    thresholds = thresholds_by_false_finds(scores)
    assert list(thresholds) == [0, 1, 3, 10]
    for allowed, threshold in thresholds.items():
        assert counts(Judged(np.zeros(0), scores), threshold)["false"] == allowed
    assert max(detection_scores.FALSE_FINDS) > 10, "there are too few false finds for the largest"


def test_empty_windows_keep_away_from_faces():
    rng = np.random.default_rng(0)
    taken = np.array([[0.0, 0, 300, 400]])
    windows = list(detection_sets._empty_windows((560, 400), taken, rng))
    assert 0 < len(windows) <= detection_sets.PER_PHOTOGRAPH
    assert all(left >= 300 and left + side <= 560 and top + side <= 400 for left, top, side in windows)
    assert list(detection_sets._empty_windows((90, 90), taken, rng)) == []


@pytest.mark.parametrize("number", range(5))
def test_textures_are_drawn_again_in_the_same_way(number):
    first = draw_texture(np.random.default_rng(1), number)
    assert first.shape == (SIDE, SIDE, 3)
    assert first.std() > 5, "there is something to see"
    np.testing.assert_array_equal(first, draw_texture(np.random.default_rng(1), number))


def test_the_box_of_a_turned_face_is_upright_about_its_middle():
    parts = np.array([(-20.0, -10), (20, -10), (0, 10), (0, 30)])
    mean = MeanFace(np.array([-0.5, -0.4, 1, 1]), parts / 100)
    box, angle = detection_sets._box_of(mean, np.array([(-y, x) for x, y in parts]) + 200)
    assert angle == pytest.approx(90)
    np.testing.assert_allclose(box, [200 - 10 - 50, 150, 100, 100], atol=0.6)


def test_eyes_are_taken_left_to_right_whatever_a_set_calls_them():
    points = np.zeros((58, 2))
    points[13:21, 0], points[21:29, 0] = 50, 20
    np.testing.assert_array_equal(detection_sets._parts_of(points, detection_sets.OF_IMM)[:2, 0], [20, 50])


def test_the_limit_of_the_deviation_is_fitted_by_shape_and_angle():
    rng, numbers = np.random.default_rng(0), np.array([-0.2, 0.9, -0.15])
    inputs = rng.uniform((-0.5, 0, 0), (0.5, 0.5, 1), (6000, 3))
    beyond = inputs[:, 0] - numbers[0] - inputs[:, 1:] @ numbers[1:]
    is_face = rng.uniform(size=6000) < 1 / (1 + np.exp(30 * beyond))
    np.testing.assert_allclose(detection_limit.fit(inputs, is_face), numbers, atol=0.03)
