import numpy as np
import pytest

from kp_tf.core.measures import eye_aspect_ratios, mouth_aspect_ratio
from kp_tf.data.synthetic.head import Face, Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68


def test_ratios_by_hand():
    points = np.zeros((68, 2))
    # corners 10 apart; lids 3 and 4 apart in the first eye, closed in the second; lips 1, 2 and 3 apart
    points[36:42] = [(0, 0), (3, -1), (7, -2), (10, 0), (7, 2), (3, 2)]
    points[42:48] = [(0, 0), (3, 0), (7, 0), (10, 0), (7, 0), (3, 0)]
    points[60:68] = [(0, 0), (2, 0), (5, 0), (8, 0), (10, 0), (8, 3), (5, 2), (2, 1)]
    np.testing.assert_allclose(eye_aspect_ratios(points), [0.35, 0])
    assert mouth_aspect_ratio(points) == pytest.approx(0.2)
    turned = points @ [[0, -7], [7, 0]] + 1000
    np.testing.assert_allclose(eye_aspect_ratios(turned), [0.35, 0])


def test_a_missing_point_and_a_point_for_a_face_leave_no_ratio():
    points = ibug68(Head(Face()), Pose(0, 0, 0, 1, 0, 0))
    points[[37, 66]] = np.nan
    left, right = eye_aspect_ratios(points)
    assert np.isnan(left)
    assert 0.2 < right < 0.5
    assert np.isnan(mouth_aspect_ratio(points))
    assert np.isnan(eye_aspect_ratios(np.zeros((68, 2)))).all()
    assert np.isnan(mouth_aspect_ratio(np.zeros((68, 2))))


def test_blinks_and_yawns_of_drawn_faces():
    pose = Pose(0, 0, 0, 1, 0, 0)
    left, right = eye_aspect_ratios(ibug68(Head(Face(eyelids=(0.0, 1.0))), pose))
    assert left < 0.1 < 0.2 < right
    assert mouth_aspect_ratio(ibug68(Head(Face()), pose)) < 0.1
    assert mouth_aspect_ratio(ibug68(Head(Face(drop=40)), pose)) > 0.25
