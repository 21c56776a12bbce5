"""A missed face is a failure, and a face found elsewhere is not the labelled one."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import end_to_end
from benchmarks.face_sets import FaceSet
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples

POINTS = np.random.default_rng(0).uniform(110, 190, (68, 2))
POINTS[36], POINTS[45] = (120, 140), (170, 140)


def faces(count):
    samples = Samples(
        Path(), ("a.jpg",) * count, np.full((count, 4), 100.0), np.array([POINTS] * count), IBUG68, ("",) * count
    )
    return FaceSet("wflw", samples, np.ones(count, bool), np.arange(count).astype(str))


def test_each_face_gets_the_points_in_its_box_and_a_missed_one_none():
    elsewhere, near = POINTS + 200, POINTS + (2, 0)
    found = [[elsewhere.tolist(), near.tolist()], [elsewhere.tolist()], [], [(POINTS + 30).tolist(), near.tolist()]]
    nme = end_to_end.errors(faces(4), found)
    np.testing.assert_allclose(nme, [0.04, np.inf, np.inf, 0.04])


def test_scores_count_missed_faces_as_failures():
    scores = end_to_end.scores(np.array([0.05, 0.2, np.inf, 0.02]), np.arange(4).astype(str))
    assert (scores["faces"], scores["found"]) == (4, 3)
    assert scores["failures"][0] == 0.5
    assert scores["nme_of_found"][0] == pytest.approx(0.09)
    assert scores["median"] == pytest.approx(0.125)
    assert scores["auc"] == pytest.approx((0.5 + 0.8) / 4)


def test_the_table_says_so_if_hardly_any_face_was_found():
    row = end_to_end.scores(np.full(3, np.inf), np.arange(3).astype(str))
    assert end_to_end._cell(row) == "0; 100.0 % (100.0–100.0); –; –; 0.0"
