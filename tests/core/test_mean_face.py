import numpy as np

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
