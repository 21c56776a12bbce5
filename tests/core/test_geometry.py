import numpy as np

from kp_tf.core.geometry import (
    Framing,
    bounding_boxes,
    crop_windows,
    empty,
    half_needed,
    overlaps,
    scaled,
    to_pixels,
    to_unit,
)


def test_to_unit_by_hand():
    # a box of 10 × 20 at (5, 7) covers x from 4.5 to 14.5 and y from 6.5 to 26.5
    windows = np.array([[5, 7, 10, 20]])
    points = np.array([[[4.5, 6.5], [14.5, 26.5], [9.5, 16.5], [5, 7], [-0.5, 36.5]]])
    expected = [[[0, 0], [1, 1], [0.5, 0.5], [0.05, 0.025], [-0.5, 1.5]]]
    np.testing.assert_allclose(to_unit(points, windows), expected)


def test_to_pixels_undoes_to_unit_and_keeps_missing_points():
    rng = np.random.default_rng(0)
    windows = np.column_stack([rng.integers(-50, 50, (20, 2)), rng.integers(1, 300, (20, 2))])
    points = rng.normal(100, 80, (20, 68, 2))
    points[3, 5] = np.nan
    np.testing.assert_allclose(to_pixels(to_unit(points, windows), windows), points)


def test_crop_windows_scale_one_is_the_box():
    assert crop_windows(np.array([[3.0, -4.0, 120.0, 80.0]])).tolist() == [[3, -4, 120, 80]]


def test_crop_windows_scaled_is_a_square_about_the_centre():
    # the box covers x 9.5 to 29.5 and y 19.5 to 59.5: centre (19.5, 39.5), side 2 × 40
    assert crop_windows(np.array([[10, 20, 20, 40]]), 2.0).tolist() == [[-20, 0, 80, 80]]


def test_scaled_boxes_keep_their_centres():
    np.testing.assert_allclose(scaled(np.array([[5, 7, 10, 20]]), 1.2), [[4, 5, 12, 24]])


def test_crop_windows_never_empty():
    assert crop_windows(np.array([[0, 0, 0.2, 0.4]]))[0, 2:].tolist() == [1, 1]


def test_bounding_boxes_leave_missing_points_out():
    points = np.array([[[3, 8], [13, 5], [np.nan, np.nan]], [[1, 1], [np.nan, np.nan], [np.nan, np.nan]]], float)
    assert bounding_boxes(points).tolist() == [[3, 5, 10, 3], [1, 1, 1, 1]]


def test_half_needed_by_hand():
    # the box's middle is (9.5, 19.5); the points reach 12 to the side, 15 down, 5 up; its longer side is 40
    boxes = np.array([[0, 0, 20, 40]] * 3, float)
    points = np.array([[[21.5, 19.5]], [[9.5, 34.5]], [[9.5, 14.5]]])
    assert half_needed(points, boxes) == 2 * 12 / 40


def test_framing_finds_a_face_that_moved_and_grew():
    photographs = np.array([[0, 0, 200, 100]] * 2, float)
    boxes = np.array([[40, 20, 40, 50], [60, 20, 40, 50]], float)
    shape = np.array([[0, 0], [20, 0], [10, 30]], float)
    points = shape + boxes[:, None, :2] + 5
    framing = Framing.of(photographs, boxes, points)
    np.testing.assert_allclose(framing.first(photographs), [[50, 20, 40, 50]] * 2)
    # the same face 1.5 times as large, its box from (7, 3): pixel edges are half a pixel before
    box = np.array([[7, 3, 60, 75]], float)
    grown = (points[:1] - boxes[:1, None, :2] + 0.5) * 1.5 + box[:, None, :2] - 0.5
    np.testing.assert_allclose(framing.around(grown, photographs[:1]), box)
    # a photograph of twice the size, with the mean face
    np.testing.assert_allclose(framing.first(photographs * 2), [[100, 40, 80, 100]] * 2)


def test_framing_of_one_point_keeps_the_size():
    photographs, boxes = np.array([[0, 0, 100, 100]], float), np.array([[40, 20, 30, 50]], float)
    framing = Framing.of(photographs, boxes, np.array([[[55.0, 45.0]]]))
    np.testing.assert_allclose(framing.around(np.array([[[60.0, 40.0]]]), photographs), [[45, 15, 30, 50]])


def test_framing_refuses_to_shrink_a_face_to_nothing():
    photographs, boxes = np.array([[0, 0, 100, 100]], float), np.array([[40, 20, 30, 50]], float)
    framing = Framing.of(photographs, boxes, np.array([[[45.0, 25.0], [65.0, 65.0]]]))
    upside_down = framing.around(np.array([[[65.0, 65.0], [45.0, 25.0]]]), photographs)
    np.testing.assert_allclose(upside_down[:, 2:], [[15, 25]])


def test_overlaps_are_counted_by_hand():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5]])
    np.testing.assert_allclose(overlaps(boxes, np.array([0, 0, 10, 10])), [1, 50 / 150, 0])


def test_windows_that_miss_the_photograph_are_empty():
    windows = np.array([[0, 0, 10, 10], [99, 0, 10, 10], [100, 0, 10, 10], [-690, 0, 700, 10], [-80, 0, 90, 10]])
    np.testing.assert_array_equal(empty(windows, np.array([[100, 100]] * 5)), [False, False, True, True, False])
