import numpy as np
import pytest

from kp_tf.core.face import Face
from kp_tf.core.keypoints import IBUG68, IMM58


def test_five_points_are_computed_from_the_68():
    points = np.arange(136, dtype=float).reshape(68, 2)  # point k is (2 k, 2 k + 1)
    face = Face(np.zeros(4), points, np.zeros(68), IBUG68)
    # the eyes' centres lie at k = 38.5 and 44.5; then the nose 30, and the mouth's corners 48 and 54
    np.testing.assert_array_equal(face.five, [(77, 78), (89, 90), (60, 61), (96, 97), (108, 109)])


def test_five_points_need_the_68():
    face = Face(np.zeros(4), np.zeros((58, 2)), np.zeros(58), IMM58)
    with pytest.raises(ValueError, match="Received: scheme=imm58"):
        _ = face.five
