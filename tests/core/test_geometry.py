import numpy as np
import pytest

from kp_tf.core.geometry import (
    MAX_EMPTINESS,
    boxes_around_points,
    crop_windows,
    distinct,
    enclosing_windows,
    median_scale_to_cover,
    misses_image,
    overlaps,
    scale_boxes,
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


def test_crop_windows_without_a_scale_are_the_boxes():
    windows = crop_windows(np.array([[3.0, -4.0, 120.0, 80.0], [2.6, -4.4, 120.4, 79.6]]), None)
    assert windows.tolist() == [[3, -4, 120, 80]] * 2
    assert windows.dtype == np.int32


def test_crop_windows_of_scale_one_are_squares():
    assert crop_windows(np.array([[10, 20, 20, 40]]), 1.0).tolist() == [[0, 20, 40, 40]]


def test_crop_windows_scaled_is_a_square_about_the_centre():
    # the box covers x 9.5 to 29.5 and y 19.5 to 59.5: centre (19.5, 39.5), side 2 × 40
    assert crop_windows(np.array([[10, 20, 20, 40]]), 2.0).tolist() == [[-20, 0, 80, 80]]


def test_scaled_boxes_keep_their_centres():
    np.testing.assert_allclose(scale_boxes(np.array([[5, 7, 10, 20]]), 1.2), [[4, 5, 12, 24]])


def test_crop_windows_never_empty():
    assert crop_windows(np.array([[0, 0, 0.2, 0.4]]), None)[0, 2:].tolist() == [1, 1]


def test_boxes_around_points_leave_missing_points_out():
    points = np.array([[[3, 8], [13, 5], [np.nan, np.nan]], [[1, 1], [np.nan, np.nan], [np.nan, np.nan]]], float)
    assert boxes_around_points(points).tolist() == [[3, 5, 10, 3], [1, 1, 1, 1]]


def test_median_scale_to_cover_by_hand():
    # the box's middle is (9.5, 19.5); the points reach 12 to the side, 15 down, 5 up; its longer side is 40
    boxes = np.array([[0, 0, 20, 40]] * 3, float)
    points = np.array([[[21.5, 19.5]], [[9.5, 34.5]], [[9.5, 14.5]]])
    assert median_scale_to_cover(points, boxes) == 2 * 12 / 40


def test_overlaps_are_counted_by_hand():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5]])
    np.testing.assert_allclose(overlaps(boxes, np.array([0, 0, 10, 10])), [1, 50 / 150, 0])


def test_windows_that_miss_the_picture():
    windows = np.array([[0, 0, 10, 10], [99, 0, 10, 10], [100, 0, 10, 10], [-690, 0, 700, 10], [-80, 0, 90, 10]])
    expected = [False, False, True, True, False]
    np.testing.assert_array_equal(misses_image(windows, np.array([[100, 100]] * 5)), expected)
    np.testing.assert_array_equal(misses_image(windows, np.array([[100, 100]])), expected)


@pytest.mark.parametrize(("width", "misses"), [(MAX_EMPTINESS, False), (MAX_EMPTINESS + 1, True)])
def test_a_window_may_be_fifty_times_its_part_inside_the_picture(width, misses):
    assert misses_image(np.array([[0, 0, width, 10]]), np.array([[1, 10]])).tolist() == [misses]


def test_the_unit_square_of_a_rotated_window_by_hand():
    # a square of 40 pixels about (30, 40), rotated clockwise by a quarter: its top left corner is at the top right
    window = np.array([[10, 20, 40, 40, 90]])
    corners = np.array([[(0, 0), (1, 0), (0, 1), (0.5, 0.5)]])
    pixels = np.array([[(50, 20), (50, 60), (10, 20), (30, 40)]]) - 0.5
    np.testing.assert_allclose(to_pixels(corners, window), pixels, atol=1e-9)
    np.testing.assert_allclose(to_unit(pixels, window), corners, atol=1e-9)


def test_rotated_windows_are_not_rounded_and_enclosed_whatever_their_angle():
    windows = crop_windows(np.array([[10.2, 20, 20, 41, angle] for angle in range(0, 360, 15)]), 1.5)
    np.testing.assert_allclose(windows[3], [10.2 + 10 - 30.75, 20 + 20.5 - 30.75, 61.5, 61.5, 45])
    corners = to_pixels(np.tile([(0, 0), (1, 0), (0, 1), (1, 1)], (len(windows), 1, 1)), windows)
    inside = to_unit(corners, enclosing_windows(windows))
    assert inside.min() > 0
    assert inside.max() < 1
    assert inside.min() < 0.02, "and hardly more"


def test_a_rotated_window_misses_the_photograph_as_its_enclosing_one_does():
    windows = np.array([[0, 0, 40, 40, 30], [-400, 0, 40, 40, 30]], float)
    assert misses_image(windows, np.array([[100, 100]])).tolist() == [False, True]


def test_scaled_boxes_keep_their_angle():
    np.testing.assert_allclose(scale_boxes(np.array([[10, 10, 20, 20, 33]]), 2.0), [[0, 0, 40, 40, 33]])


def test_a_window_with_the_angle_0_is_that_of_the_upright_box():
    box = [10.3, 20.6, 20.2, 41.7]
    assert crop_windows(np.array([[*box, 0]]), 1.5)[0].tolist() == [*crop_windows(np.array([box]), 1.5)[0].tolist(), 0]


def test_of_predictions_of_the_same_face_the_one_with_the_smallest_spread_is_kept():
    shape = np.array([(0, 0), (40, 0), (20, 40.0)])
    points = np.stack([shape, shape + (0, 9), shape + (0, 21), shape + (200, 0)])
    assert distinct(points, np.full(4, 40.0), np.array([0.2, 0.1, 0.3, np.nan])).tolist() == [False, True, True, True]
    assert distinct(points, np.full(4, 100.0), np.array([0.2, 0.1, 0.3, 0.4])).tolist() == [False, True, False, True]
    assert distinct(points[:0], np.zeros(0), np.zeros(0)).tolist() == []
