import numpy as np
import pytest

from kp_tf.core.geometry import rotated
from kp_tf.core.mean_face import MeanFace


def test_the_box_follows_a_face_that_moved_and_grew():
    photographs = np.array([[0, 0, 200, 100]] * 2, float)
    boxes = np.array([[40, 20, 40, 50], [60, 20, 40, 50]], float)
    shape = np.array([[0, 0], [20, 0], [10, 30]], float)
    points = shape + boxes[:, None, :2] + 5
    face = MeanFace.from_faces(photographs, boxes, points)
    np.testing.assert_allclose(face.boxes_in(photographs), [[50, 20, 40, 50]] * 2)
    # the same face 1.5 times as large, its box from (7, 3): pixel edges are half a pixel before
    box = np.array([[7, 3, 60, 75]], float)
    grown = (points[:1] - boxes[:1, None, :2] + 0.5) * 1.5 + box[:, None, :2] - 0.5
    np.testing.assert_allclose(face.boxes_around(grown, photographs[:1]), box)
    # a photograph of twice the size, with the mean face
    np.testing.assert_allclose(face.boxes_in(photographs * 2), [[100, 40, 80, 100]] * 2)


def test_a_single_point_keeps_the_size():
    photographs, boxes = np.array([[0, 0, 100, 100]], float), np.array([[40, 20, 30, 50]], float)
    face = MeanFace.from_faces(photographs, boxes, np.array([[[55.0, 45.0]]]))
    np.testing.assert_allclose(face.boxes_around(np.array([[[60.0, 40.0]]]), photographs), [[45, 15, 30, 50]])


def test_a_face_does_not_shrink_to_nothing():
    photographs, boxes = np.array([[0, 0, 100, 100]], float), np.array([[40, 20, 30, 50]], float)
    face = MeanFace.from_faces(photographs, boxes, np.array([[[45.0, 25.0], [65.0, 65.0]]]))
    upside_down = face.boxes_around(np.array([[[65.0, 65.0], [45.0, 25.0]]]), photographs)
    np.testing.assert_allclose(upside_down[:, 2:], [[15, 25]])


def test_points_lie_in_frames_as_they_did_on_average():
    frames = np.array([[0, 0, 200, 100], [10, 20, 400, 200]], float)
    points = np.array([[[20, 30], [40, np.nan]], [[20, 30], [60, 50]]], float)
    face = MeanFace.from_faces(frames[[0, 0]], frames[[0, 0]], points)
    np.testing.assert_allclose(face.points_in(frames[:1]), [[[20, 30], [50, 50]]])
    # twice as large, from (10, 20): 20.5 pixels from the edge become 41
    np.testing.assert_allclose(face.points_in(frames[1:]), [[[50.5, 80.5], [110.5, 120.5]]])


FACE = MeanFace(np.array([0.1, 0.2, 0.5, 0.5]), np.array([[0.25, 0.5], [0.75, 0.5], [0.5, 0.8]]))
FRAME = np.array([[10, 20, 100, 80]], float)


@pytest.mark.parametrize("angle", [0, 37, 90, -150])
@pytest.mark.parametrize("missing", [[], [1]])
def test_the_box_turns_with_the_face(angle, missing):
    centre = np.array([60, 70])
    shape = 100 * FACE.points
    points = rotated(1.3 * (shape - shape.mean(axis=0)), angle)[None] + centre
    points[:, missing] = np.nan
    box = FACE.rotated_boxes_around(points, FRAME)
    # the mean face's box is half as large as its frame, and its centre lies at (0.35, 0.45)
    middle = centre + 0.5 + rotated(1.3 * (np.array([35, 45]) - shape.mean(axis=0)), angle)
    np.testing.assert_allclose(box, [[*(middle - 32.5), 65, 65, angle]], atol=1e-9)


def test_an_upright_face_has_the_same_box_rotated_or_not():
    points = 1.2 * 100 * FACE.points[None] + 30
    np.testing.assert_allclose(
        FACE.rotated_boxes_around(points, FRAME), np.append(FACE.boxes_around(points, FRAME), 0)[None], atol=1e-9
    )


def test_a_single_point_has_no_angle():
    points = np.array([[[60.0, 40.0], [np.nan] * 2, [np.nan] * 2]])
    np.testing.assert_allclose(FACE.rotated_boxes_around(points, FRAME)[0, 2:], [50, 50, 0])


@pytest.mark.parametrize("missing", [[], [1]])
def test_shapes_are_compared_wherever_they_are(missing):
    moved = rotated(7 * FACE.points, 130) + (40, -9)
    points = np.stack([moved, moved * (1, -1), np.full((3, 2), 5.0)])
    points[:, missing] = np.nan
    distances, angles = FACE.compared_with(points)
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert angles[0] == pytest.approx(130)
    assert distances[2] == 1, "a single place has no shape"
    if not missing:
        shape, other = (each - each.mean(axis=0) for each in (FACE.points, points[1]))
        best = min(np.linalg.norm(shape - s * rotated(other, a)) for a in range(360) for s in np.linspace(0, 0.3, 301))
        assert distances[1] == pytest.approx(best / np.linalg.norm(shape), abs=1e-3)
