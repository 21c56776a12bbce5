"""Detections with the points of a face, and of what a network draws where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from kp_tf.artifacts.weights import committed
from kp_tf.core.geometry import rotated
from kp_tf.core.keypoints import NOSE
from kp_tf.predict.false_faces import SHAPE_LIMIT, are_faces, shape_limit

COMPACT = committed("compact")
COMPACT = replace(COMPACT, metrics=COMPACT.metrics | {"max_deviation": 0.0556})
BOX = np.array([50.0, 50, 100, 100])


def detection(deviation, turn=1.0, angle=0.0):
    """The outputs (1, 68, 3) of a face of 100 pixels, turned away: its width times `turn`, and rotated."""
    points = COMPACT.mean_face.points - COMPACT.mean_face.points.mean(axis=0)
    points = rotated(100 * points * (turn, 1), angle) + 100
    return np.column_stack([points, np.full(68, deviation**2)])[None]


def is_face(deviation, turn=1.0, angle=0.0, told=None, info=COMPACT):
    box = BOX if told is None else np.append(BOX, told)
    return are_faces(info, box[None], detection(deviation, turn, angle)).tolist() == [True]


def test_wide_heatmaps_of_an_ordinary_shape_are_no_face():
    assert is_face(0.043)
    assert not is_face(0.044)
    assert is_face(0.052, turn=0.5), "turned away"
    assert not is_face(0.062, turn=0.5)
    assert is_face(0.043, angle=70), "the distance of shapes does not depend on the angle"
    assert not is_face(0.08, turn=0), "a line is like no face, and the limit does not grow with it"


def test_the_limit_is_lower_where_the_detector_tells_another_angle():
    for told, expected in ((70, True), (430, True), (-110, False), (np.nan, True), (None, True)):
        assert is_face(0.043, angle=70, told=told) == expected, told


def test_other_networks_have_one_limit_for_all_shapes():
    others = (
        replace(COMPACT, scheme=NOSE),
        replace(COMPACT, mean_face=None),
    )
    for info in others:
        assert shape_limit(info) is None
        assert is_face(0.055, info=info)
        assert not is_face(0.056, info=info)
    assert is_face(0.05, info=replace(COMPACT, metrics={})), "what is unknown is no limit"


def test_each_face_is_returned_once():
    outputs = np.concatenate([detection(0.04), detection(0.036), detection(0.02, angle=90)])
    boxes = np.array([BOX, BOX + 2, BOX])
    assert are_faces(COMPACT, boxes, outputs).tolist() == [False, True, True]


def test_the_limit_is_that_of_the_fit():
    # a face like the mean one, on whose angle the detector agrees
    limit = COMPACT.max_deviation * np.exp(SHAPE_LIMIT[0])
    assert is_face(limit - 1e-6)
    assert not is_face(limit + 1e-6)
    assert limit == pytest.approx(0.0433, abs=1e-4)
