"""Boxes that users and label files give."""

import numpy as np
import pytest

from kp_tf.core.boxes import box_outside, check_boxes
from kp_tf.core.errors import KpError


def test_boxes_are_checked():
    assert check_boxes("a", []).shape == (0, 4)
    assert check_boxes("a", [1, 2, 3, 4]).shape == (1, 4)
    for bad, message in (
        ([1, 2, 3], "a box must be four finite numbers"),
        ([[1, 2, np.nan, 4]], "a box must be four finite numbers"),
        ([[1, 2, 3, 4], [1, 2]], "a box must be four finite numbers"),
        (["left"], "a box must be four finite numbers"),
        (
            [0.31, 0.31, 0.34, 0.45],
            r"a box of 0\.34 × 0\.45 pixels is too small; boxes are in pixels, not from 0 to 1",
        ),
        ([[1, 2, 3, 4], [5, 5, 30, 1.9]], r"a box of 30 × 1\.9 pixels is too small"),
        ([[[1, 2, 3, 4]]], "a box must be four finite numbers"),
        ([[1, 2, 0, 4]], "a box needs positive width and height, found 0 × 4"),
        ([[1e9] * 4], r"a box lies far from the picture, at 1e\+09"),
    ):
        with pytest.raises(KpError, match=rf"a: {message}"):
            check_boxes("a", bad)


def test_a_box_outside_is_named_with_its_picture():
    error = box_outside("a.jpg", np.array([200, 10, 40, 40.5]), (90, 80))
    assert str(error) == "a.jpg: the box lies outside the picture of 90 × 80 pixels: left 200, top 10, 40 × 40.5"
