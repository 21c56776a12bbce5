"""The metrics against arithmetic by hand and against plain Python loops."""

import json
import math

import numpy as np
import pytest

from kp_tf.core.keypoints import IBUG68, NOSE, Scheme
from kp_tf.evaluate import metrics

FOUR = Scheme("four", ("a", "b", "c", "d"), (("eyes", (0, 1)), ("mouth", (2, 3))), eyes=(0, 1))
SQUARE = np.array([[0, 0], [10, 0], [0, 20], [10, 20]], np.float64)  # eyes 10 pixels from each other


def _random(faces=50, points=68, noise=3.0, seed=0):
    random = np.random.default_rng(seed)
    truth = random.uniform(0, 200, (faces, points, 2))
    return truth + random.normal(0, noise, truth.shape), truth


def _shifted(*distances):
    """One SQUARE a distance: the prediction is off by it in x at every point."""
    truth = np.stack([SQUARE] * len(distances))
    return truth + np.array(distances)[:, None, None] * [1, 0], truth


def test_errors_by_hand():
    truth = np.stack([SQUARE, SQUARE])
    prediction = truth.copy()
    prediction[0, 0] += [3, 4]
    prediction[1, 2] += [0, -2]
    assert metrics.mean_absolute_error(prediction, truth) == (3 + 4 + 2) / 16
    np.testing.assert_allclose(metrics.point_errors(prediction, truth), [[5, 0, 0, 0], [0, 0, 2, 0]])
    np.testing.assert_allclose(metrics.nme(prediction, truth, (0, 1)), [5 / 4 / 10, 2 / 4 / 10])


def test_missing_points_are_left_out():
    truth = np.stack([SQUARE, SQUARE, SQUARE])
    prediction = truth + np.array([6, 8])
    truth[0, 2:] = np.nan  # two of four points
    truth[1, 0, 1] = np.nan  # half an eye: no NME
    truth[2] = np.nan
    prediction[0, 2] = np.nan  # no error, as there is no truth
    prediction[0, 3] = 1e9
    assert metrics.mean_absolute_error(prediction, truth) == (6 + 8) / 2
    expected = [[10, 10, np.nan, np.nan], [np.nan, 10, 10, 10], [np.nan] * 4]
    np.testing.assert_allclose(metrics.point_errors(prediction, truth), expected)
    np.testing.assert_allclose(metrics.face_errors(prediction, truth), [10, 10, np.nan])
    np.testing.assert_allclose(metrics.nme(prediction, truth, (0, 1)), [1, np.nan, np.nan])


def test_prediction_of_nan_is_not_left_out():
    prediction, truth = _shifted(0, 0)
    prediction[0, 1] = np.nan
    assert math.isnan(metrics.mean_absolute_error(prediction, truth))
    np.testing.assert_array_equal(metrics.nme(prediction, truth, (0, 1)), [np.nan, 0])
    with pytest.raises(ValueError, match="1 faces, first 0"):
        metrics.summary(prediction, truth, FOUR)


def test_nme_eyes_on_one_place_has_none():
    truth = np.zeros((1, 4, 2))
    assert np.isnan(metrics.nme(truth + 1, truth, (0, 1))).all()


def test_mean_shape_leaves_missing_points_out():
    points = np.stack([SQUARE, SQUARE + 2, SQUARE + 7])
    points[2, 0] = np.nan
    np.testing.assert_allclose(metrics.mean_shape(points) - SQUARE, [[1, 1], [3, 3], [3, 3], [3, 3]])


def test_align_moved_and_scaled_copy_has_no_error():
    _, truth = _random()
    truth[0, 5] = np.nan
    copy = np.nan_to_num(truth) * 0.3 + [40, -9]
    np.testing.assert_allclose(metrics.aligned_error(copy, truth), 0, atol=1e-9)
    np.testing.assert_allclose(metrics.align(SQUARE, SQUARE[None] * 3 + 1), SQUARE[None] * 3 + 1)


def test_align_is_least_squares_and_does_not_turn():
    prediction, truth = _random(faces=3, points=5, noise=30)
    best = metrics.align(prediction, truth)
    error = ((best - truth) ** 2).sum(axis=(1, 2))
    middle = best.mean(axis=1, keepdims=True)
    for move, scale in (((0.1, 0), 1), ((0, -0.1), 1), ((0, 0), 1.01), ((0, 0), 0.99)):
        other = middle + (best - middle) * scale + np.array(move)
        assert (((other - truth) ** 2).sum(axis=(1, 2)) > error).all()
    np.testing.assert_allclose(metrics.align(-SQUARE, SQUARE[None])[0], [[5, 10]] * 4)


def test_align_one_point_lands_on_truth():
    truth = np.array([[[3.0, 4.0]]])
    np.testing.assert_array_equal(metrics.align(np.zeros((1, 2)), truth), truth)


def test_ced_by_hand():
    x, y = metrics.ced(np.array([0.06, np.nan, 0.02, 0.2, 0.04]), 0.1)
    np.testing.assert_allclose(x, [0, 0.02, 0.04, 0.06, 0.1])
    np.testing.assert_allclose(y, [0, 1 / 4, 2 / 4, 3 / 4, 3 / 4])


def test_summary_by_hand():
    # Shifts of 0.2, 0.6, 0.9, 1.4 pixels over eyes 10 pixels from each other: NME 0.02, 0.06, 0.09, 0.14.
    prediction, truth = _shifted(0.2, 0.6, 0.9, 1.4)
    scores = metrics.summary(prediction, truth, FOUR)["all"]
    assert scores.pop("faces") == 4
    values = {key: metric["value"] for key, metric in scores.items()}
    assert values["mae_px"] == pytest.approx((0.2 + 0.6 + 0.9 + 1.4) / 4 / 2)  # y is exact
    assert values["euclidean_px"] == pytest.approx((0.2 + 0.6 + 0.9 + 1.4) / 4)
    assert values["nme_mean"] == pytest.approx((0.02 + 0.06 + 0.09 + 0.14) / 4)
    assert values["nme_median"] == pytest.approx((0.06 + 0.09) / 2)
    assert values["failure_8_percent"] == pytest.approx(2 / 4)
    assert values["failure_10_percent"] == pytest.approx(1 / 4)
    # The curve is 1/4 from 0.02, 2/4 from 0.06, 3/4 from 0.09 on.
    assert values["auc_8_percent"] == pytest.approx((0.04 * 1 / 4 + 0.02 * 2 / 4) / 0.08)
    assert values["auc_10_percent"] == pytest.approx((0.04 * 1 / 4 + 0.03 * 2 / 4 + 0.01 * 3 / 4) / 0.10)


def test_summary_area_is_that_under_ced():
    prediction, truth = _random()
    errors = metrics.nme(prediction, truth, IBUG68.eyes)
    x, y = metrics.ced(errors, 0.08)
    area = metrics.summary(prediction, truth, IBUG68)["all"]["auc_8_percent"]["value"]
    assert area == pytest.approx((np.diff(x) * y[:-1]).sum() / 0.08)


def test_summary_failure_is_above_the_threshold():
    truth = np.stack([SQUARE * 10] * 3)  # eyes 100 pixels from each other: NME exactly 0.08, 0.1 and 0.11
    prediction = truth + np.array([8, 10, 11])[:, None, None] * [1, 0]
    scores = metrics.summary(prediction, truth, FOUR)["all"]
    assert scores["failure_8_percent"]["value"] == 2 / 3
    assert scores["failure_10_percent"]["value"] == 1 / 3


def test_folders_and_groups_have_faces_and_points_of_their_own():
    prediction, truth = _shifted(1, 1, 3)
    prediction[:, 2:] += [5, 0]  # the mouth is worse
    summary = metrics.summary(prediction, truth, FOUR, files=["afw/a.jpg", "afw/b/c.jpg", "helen/d.jpg"])
    values = {
        name: scores["euclidean_px"]["value"] for name, scores in (summary["folders"] | summary["groups"]).items()
    }
    assert values == pytest.approx({"afw": 1 + 5 / 2, "helen": 3 + 5 / 2, "eyes": 5 / 3, "mouth": 5 / 3 + 5})
    assert [scores["faces"] for scores in summary["folders"].values()] == [2, 1]
    assert summary["groups"]["mouth"]["nme_mean"]["value"] == pytest.approx((5 / 3 + 5) / 10)


def test_summary_missing_points_fit_json_and_table():
    prediction, truth = _random(faces=6)
    truth[0] = truth[1, 3] = truth[:, 48:] = np.nan  # a face, a point, every mouth
    truth[2:4, 36] = np.nan
    summary = metrics.summary(prediction, truth, IBUG68, files=["a/x"] + ["b/x"] * 3 + ["x"] * 2)
    json.dumps(summary, allow_nan=False)
    assert [scores["faces"] for scores in (summary["all"], *summary["folders"].values())] == [5, 0, 3]
    assert summary["groups"]["mouth"] == {"faces": 0}
    text = metrics.table(summary)
    assert "points 36 and 45" in text
    assert max(map(len, text.splitlines())) <= 120


def test_summary_without_eyes_has_pixels_only():
    prediction, truth = _random(points=1)
    summary = metrics.summary(prediction, truth, NOSE)
    assert list(summary["all"]) == ["faces", "mae_px", "euclidean_px"]
    assert "NME" not in metrics.table(summary)


def test_interval_covers_value_and_depends_on_seed_alone():
    prediction, truth = _random(noise=5)
    first, again = (metrics.summary(prediction, truth, IBUG68, seed=4) for _ in range(2))
    assert first == again
    assert first["all"] != metrics.summary(prediction, truth, IBUG68, seed=5)["all"]
    for key, metric in first["all"].items():
        assert key == "faces" or metric["low"] < metric["value"] < metric["high"]


def test_interval_has_the_width_of_the_standard_error():
    prediction, truth = _random(faces=400)
    errors = metrics.nme(prediction, truth, IBUG68.eyes)
    metric = metrics.summary(prediction, truth, IBUG68)["all"]["nme_mean"]
    expected = 2 * 1.96 * errors.std() / math.sqrt(len(errors))
    assert metric["high"] - metric["low"] == pytest.approx(expected, rel=0.15)


def test_interval_equal_errors_have_no_width():
    for key, metric in metrics.summary(*_shifted(0.5, 0.5, 0.5), FOUR)["all"].items():
        assert key == "faces" or metric["low"] == metric["value"] == metric["high"]


def test_summary_same_as_plain_loops():
    prediction, truth = _random(faces=20, noise=8)
    truth[3, 7] = truth[5, 36] = np.nan
    distances, absolute, nmes = [], [], []
    for face in range(20):
        mine = []
        for k in range(68):
            (px, py), (tx, ty) = prediction[face, k], truth[face, k]
            if not math.isnan(tx):
                mine.append(math.hypot(px - tx, py - ty))
                absolute += [abs(px - tx), abs(py - ty)]
        distances += mine
        eyes = math.dist(truth[face, 36], truth[face, 45])
        nmes += [] if math.isnan(eyes) else [sum(mine) / len(mine) / eyes]
    scores = metrics.summary(prediction, truth, IBUG68)["all"]
    assert scores["mae_px"]["value"] == pytest.approx(sum(absolute) / len(absolute))
    assert scores["mae_px"]["value"] == pytest.approx(metrics.mean_absolute_error(prediction, truth))
    assert scores["euclidean_px"]["value"] == pytest.approx(sum(distances) / len(distances))
    assert scores["nme_mean"]["value"] == pytest.approx(sum(nmes) / len(nmes))
    assert scores["nme_median"]["value"] == pytest.approx(sorted(nmes)[9])
    assert scores["failure_8_percent"]["value"] == pytest.approx(sum(e > 0.08 for e in nmes) / len(nmes))
    assert scores["auc_10_percent"]["value"] == pytest.approx(sum(max(0.1 - e, 0) for e in nmes) / 0.1 / len(nmes))


@pytest.mark.parametrize(("faces", "files"), [(0, None), (2, ["one"])])
def test_summary_names_what_does_not_fit(faces, files):
    truth = np.zeros((faces, 4, 2))
    with pytest.raises(ValueError, match="Received"):
        metrics.summary(truth, truth, FOUR, files=files)


def test_summary_does_not_broadcast_one_shape():
    _, truth = _shifted(1, 2)
    with pytest.raises(ValueError, match="Received"):
        metrics.summary(truth[:1], truth, FOUR)
