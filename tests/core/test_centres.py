"""A network's cells become faces, each once."""

import numpy as np
import pytest

from kp_tf.core.centres import CHANNELS, SIDE, STRIDE, Centres, decode, each_once, square_overlaps, squares


def cells_with(*faces):
    """Cells (12, 20, 6) that say these faces: row, column, logit, x, y, side in pixels, angle in degrees."""
    cells = np.zeros((12, 20, CHANNELS), np.float32)
    cells[..., 0] = -9
    for row, column, logit, x, y, side, angle in faces:
        turn = np.radians(angle)
        cells[row, column] = (logit, x, y, np.log(side / SIDE), 2 * np.cos(turn), 2 * np.sin(turn))
    return cells


def test_a_peak_becomes_a_face_in_pixels():
    found = decode(cells_with((3, 5, 0.0, 0.25, -0.5, 48, 120)), 0.3)
    assert found.faces == pytest.approx(np.array([[STRIDE * 5.75, STRIDE * 3.0, 48, 120]]), abs=1e-4)
    assert found.scores == pytest.approx([0.5])
    assert found.boxes() == pytest.approx(np.array([[22, 0, 48, 48]]), abs=1e-4)


def test_cells_beside_a_peak_and_below_the_threshold_are_no_faces():
    peak, beside = (3, 5, 2.0, 0, 0, 16, 0), (3, 6, 1.0, 0, 0, 16, 0)
    far, low = (9, 15, 1.0, 0, 0, 16, 0), (9, 2, -2.0, 0, 0, 16, 0)
    assert len(decode(cells_with(peak, beside, far, low), 0.3).faces) == 2
    assert len(decode(cells_with(peak, beside, far, low), 0.1).faces) == 3


def test_two_peaks_of_one_face_are_one():
    sure, unsure = (3, 5, 2.0, 0, 0, 64, 0), (3, 7, 1.0, 0, 0, 64, 0)
    found = decode(cells_with(unsure, sure), 0.3)
    assert found.faces[:, 0] == pytest.approx([STRIDE * 5.5])


@pytest.mark.parametrize(("x", "side", "count"), [(50, 20, 1), (37, 20, 1), (30, 20, 2)])
def test_a_box_in_another_is_of_the_same_face(x, side, count):
    faces = np.array([[x, 50, side, 0], [50, 50, 40, 0]], float)  # 100, 85 and 50 % of the small one lie in the other
    for scores in ([0.5, 0.9], [0.9, 0.5]):
        assert len(each_once(Centres(faces, np.array(scores))).scores) == count


def test_faces_are_sorted_by_score_and_faces_apart_stay():
    faces = np.array([[10, 10, 20, 0], [60, 10, 20, 0], [61, 11, 20, 90]], float)
    found = each_once(Centres(faces, np.array([0.5, 0.6, 0.9])))
    assert found.scores.tolist() == [0.9, 0.5]
    assert len(each_once(Centres(np.zeros((0, 4)), np.zeros(0))).faces) == 0


def test_overlaps_of_squares_are_those_of_their_boxes():
    faces = np.array([[10, 10, 20, 0], [20, 10, 20, 0], [50, 50, 4, 0], [10, 10, 10, 0]], float)
    expected = [1, 200 / 600, 0, 100 / 400]
    assert square_overlaps(faces[:1], faces)[0] == pytest.approx(expected)
    assert squares(faces[:1]).tolist() == [[0, 0, 20, 20]]
