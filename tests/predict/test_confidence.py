import numpy as np
import pytest

from kp_tf.predict.confidence import (
    UNCALIBRATED,
    are_doubtful,
    calibrate,
    confidence_of,
    errors_in_crops,
    max_deviation,
    mean_deviation,
    why_uncalibrated,
)


def test_confidence_by_hand():
    # a mean error of 3 %: the length of a normally distributed vector is below its mean with probability 1 - e^(-π/4)
    assert confidence_of(np.array([0.03**2]), UNCALIBRATED)[0] == pytest.approx(1 - np.exp(-np.pi / 4))
    values = confidence_of(np.array([0, 1e-4, 1e-2, np.nan]), UNCALIBRATED)
    assert values[0] == 1
    assert 1 > values[1] > values[2] > 0
    assert np.isnan(values[3])
    assert np.isnan(confidence_of(np.full((2, 3), 1e-4), None)).tolist() == [[True] * 3] * 2, "not calibrated"


def test_calibration_finds_how_often_points_are_near():
    rng = np.random.default_rng(0)
    deviation = np.exp(rng.normal(-3.5, 0.4, (1000, 20)))
    expected = 0.3 * deviation**0.8  # the mean error is not the heatmap's deviation
    errors = expected * np.sqrt(-np.log(rng.uniform(size=deviation.shape)) * 4 / np.pi)  # Rayleigh, of that mean
    errors[:, ::7] = np.nan
    calibration = calibrate(deviation**2, errors)
    assert calibration is not None
    confidence = confidence_of(deviation**2, calibration)
    np.testing.assert_allclose(confidence, 1 - np.exp(-(np.pi / 4) * (0.03 / expected) ** 2), atol=0.02)


def drawn_errors(rng, deviation, of_face):
    """Errors whose mean grows with the deviations of the heatmap and of the face: Rayleigh, and of that mean."""
    expected = 0.5 * deviation**0.8 * of_face**0.6 / 0.03**0.4
    return expected, expected * np.sqrt(-np.log(rng.uniform(size=deviation.shape)) * 4 / np.pi)


def test_a_points_confidence_depends_on_the_face_as_well():
    rng = np.random.default_rng(0)
    deviation = np.exp(rng.normal(-3.5, 0.4, (600, 30)) + rng.normal(0, 0.3, (600, 1)))
    of_face = mean_deviation(deviation**2)[:, None]
    expected, errors = drawn_errors(rng, deviation, of_face)
    calibration = calibrate(deviation**2, errors)
    assert calibration is not None
    assert calibration[1:] == pytest.approx((-1.6, -1.2), abs=0.15)
    truth = 1 - np.exp(-(np.pi / 4) * (0.03 / expected) ** 2)
    np.testing.assert_allclose(confidence_of(deviation**2, calibration), truth, atol=0.03)
    misled = calibrate(deviation**2, drawn_errors(rng, deviation, 1e-3 / of_face)[1])
    assert misled is not None
    assert len(misled) == 2, "no network is nearer where the whole face is blurred"


def test_two_numbers_of_an_old_file_are_used_as_they_were():
    variance = np.array([[1e-4, 2e-3], [4e-4, 3e-3]])
    np.testing.assert_allclose(confidence_of(variance, (-6.0, -2.0)), 1 - np.exp(-np.exp(-6.0) / variance))


def test_faces_count_by_their_weights():
    rng = np.random.default_rng(1)
    deviation, is_hard = np.exp(rng.normal(-3.5, 0.2, (400, 20))), np.arange(400) >= 360
    errors = rng.uniform(size=deviation.shape) * deviation * np.where(is_hard, 2, 1.1)[:, None]
    for weights in (np.ones(400), np.where(is_hard, 9.0, 1.0)):
        calibration = calibrate(deviation**2, errors, weights)
        said, near = (
            np.average(each, axis=0, weights=weights).mean()
            for each in (confidence_of(deviation**2, calibration), errors <= 0.03)
        )
        assert said == pytest.approx(near, abs=0.005)


def test_too_little_to_calibrate_on():
    errors = np.tile([0.01, 0.02, 0.1, 0.01], (20, 15))
    variance = np.tile([1e-4, 2e-4, 1e-3, 2e-3], (20, 15))
    assert calibrate(variance, errors) is not None
    assert calibrate(variance[:19], errors[:19]) is None, "19 faces"
    assert calibrate(variance[:, :9], errors[:, :9]) is None, "180 points"
    unseen = np.where(np.arange(20)[:, None] < 19, errors, np.nan)
    assert calibrate(variance, unseen) is None, "a face without a label does not count"
    assert calibrate(variance, np.zeros_like(errors)) is None, "all are near"
    assert calibrate(variance, np.ones_like(errors)) is None, "none is near"
    assert calibrate(np.full_like(errors, np.nan), errors) is None, "no heatmaps"
    assert calibrate(1e-6 / variance, errors) is None, "wider heatmaps where the points are nearer"


def test_the_reason_for_no_calibration():
    near, far = np.full((20, 15), 0.01), np.full((20, 15), 0.1)
    blind = near.copy()
    blind[0] = blind[1:, 5:] = np.nan
    assert why_uncalibrated(blind) == "it needs 20 validation faces, not 19"
    blind[0, :2] = 0.01
    assert why_uncalibrated(blind) == "the validation faces have 97 labelled points, and 200 are needed"
    assert why_uncalibrated(near) == "all of the points of the validation faces are within 3%"
    assert why_uncalibrated(far) == "none of the points of the validation faces are within 3%"
    mixed = np.concatenate([near, far])
    assert why_uncalibrated(mixed) == "the heatmaps of the validation faces are not wider where the errors are larger"


def test_wide_heatmaps_are_doubtful_whether_calibrated_or_not():
    np.testing.assert_allclose(mean_deviation(np.array([[1e-4, 1e-2], [4e-4, 4e-4]])), [10**-1.5, 0.02])
    faces = np.linspace(0.03, 0.04, 101)[:, None] ** 2 * np.ones(3)
    largest = max_deviation(faces)
    assert largest == pytest.approx(1.35 * 0.0395)
    variance = np.array([[0.052] * 3, [0.054] * 3, [np.nan] * 3]) ** 2
    for calibration in (None, (-6.08, -2.16)):
        assert are_doubtful(variance, calibration, largest).tolist() == [False, True, False]
    assert are_doubtful(variance, None).tolist() == [False, False, False]
    assert are_doubtful(np.array([[0.04] * 3, [0.09] * 3]) ** 2, (-6.08, -2.16)).tolist() == [False, True], "as compact"


def test_hard_faces_widen_the_limit_to_keep_most_of_them():
    faces, hard = (np.linspace(low, high, 101)[:, None] ** 2 * np.ones(3) for low, high in ((0.03, 0.04), (0.03, 0.08)))
    assert max_deviation(faces, hard) == pytest.approx(0.0775)
    assert max_deviation(faces, faces) == max_deviation(faces), "others have a margin"


def test_errors_are_in_units_of_the_crops_side():
    points, truth = np.zeros((2, 2, 2)), np.array([[[3.0, 4.0], [0, 0]], [[np.nan, np.nan], [0, 8]]])
    boxes = np.array([[0.0, 0, 5, 10], [7, 7, 20, 8]])
    np.testing.assert_allclose(errors_in_crops(points, truth, boxes, 2.0), [[5 / 20, 0], [np.nan, 8 / 40]])


def test_a_steep_calibration_does_not_warn_of_narrow_heatmaps():
    assert confidence_of(np.array([1e-12, 0.0]), (-400.0, -100.0)).tolist() == [1, 1]
