import numpy as np

from kp_tf.geometry import crop_windows, to_pixels, to_unit


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


def test_crop_windows_never_empty():
    assert crop_windows(np.array([[0, 0, 0.2, 0.4]]))[0, 2:].tolist() == [1, 1]
