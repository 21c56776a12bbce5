"""The calibration on two kinds of faces, and the scores of the further ones."""

from pathlib import Path

import numpy as np
import pytest

from kp_tf.core.keypoints import IBUG68
from kp_tf.data.samples import Samples
from kp_tf.predict.confidence import confidence_of, max_deviation
from kp_tf.training.calibration import Seen, added_scores, calibration, largest_deviation


def faces(seed, count, expected):
    """Faces whose errors are as wide as the heatmaps, times `expected`: samples in boxes of 100 pixels, and outputs."""
    rng = np.random.default_rng(seed)
    deviation = np.exp(rng.normal(-3.7, 0.3, (count, 68)))
    points = rng.uniform(20, 80, (count, 68, 2))
    points[:, 36], points[:, 45] = (30, 40), (70, 40)
    away = rng.normal(0, expected * deviation[..., None] * 100, points.shape)
    samples = Samples(Path(), ("",) * count, np.full((count, 4), 100.0), points, IBUG68, ("",) * count)
    return samples, np.concatenate([points + away, deviation[..., None] ** 2], axis=-1)


USUAL, HARD = (Seen.of(*faces(seed, count, expected), 1.0) for seed, count, expected in ((0, 200, 0.8), (1, 30, 2.0)))


def gap(seen, numbers):
    """Mean confidence less the share of near points."""
    return confidence_of(seen.variance, numbers).mean() - np.mean(seen.errors <= 0.03)


def test_few_hard_faces_are_not_drowned_by_many_others():
    alone = calibration(USUAL.variance, USUAL.errors, {})["calibration"]
    both = calibration(USUAL.variance, USUAL.errors, {"hard": HARD})["calibration"]
    assert abs(gap(USUAL, alone)) < 0.005
    assert gap(HARD, alone) > 0.2
    assert gap(HARD, both) == pytest.approx(-gap(USUAL, both), abs=0.01), "both sides count alike"


def test_points_without_labels_are_left_out():
    blind = HARD.errors.copy()
    blind[:, 17:] = np.nan
    samples = Seen(HARD.samples, HARD.outputs, blind)
    both = calibration(USUAL.variance, USUAL.errors, {"hard": samples})["calibration"]
    seen = Seen(HARD.samples, HARD.outputs[:, :17], HARD.errors[:, :17])
    assert gap(USUAL, both) == pytest.approx(-gap(seen, both), abs=0.03)


def test_the_further_faces_are_enough_to_calibrate_on():
    few = USUAL.variance[:5], USUAL.errors[:5]
    assert calibration(*few, {})["uncalibrated"] == "it needs 20 validation faces, not 5"
    assert "uncalibrated" not in calibration(*few, {"hard": HARD})


def test_the_limit_has_room_for_the_further_faces():
    assert largest_deviation(USUAL.variance, {}) == pytest.approx(max_deviation(USUAL.variance), abs=1e-6)
    wide = Seen(HARD.samples, HARD.outputs * (1, 1, 16), HARD.errors)
    expected = np.percentile(np.exp(np.log(wide.variance).mean(axis=1) / 2), 95)
    assert largest_deviation(USUAL.variance, {"usual": USUAL, "hard": wide}) < expected, "of all of them"
    assert largest_deviation(USUAL.variance, {"hard": wide}) == pytest.approx(expected, abs=1e-6)


def test_scores_of_further_faces_count_each_face_once():
    samples, outputs = faces(2, 4, 0.0)
    outputs[0, :, 0] += 6  # of 40 pixels between the eyes
    samples.labels[1, 36] = np.nan
    samples.labels[2, 1:30] = np.nan
    scores = added_scores(Seen.of(samples, outputs, 1.0), (-6.0, -2.0))
    assert (scores["faces"], scores["mean_error_px"]) == (4, pytest.approx(6 / 4))
    assert (scores["nme"], scores["over_10"]) == (pytest.approx(0.15 / 3, abs=1e-6), pytest.approx(1 / 3, abs=1e-6))
    assert scores["near"] == pytest.approx((67 + 39 + 68) / (68 + 67 + 39 + 68), abs=1e-6)
    assert 0 < scores["confidence"] < 1
    samples.labels[:, 45] = np.nan
    assert added_scores(Seen.of(samples, outputs, 1.0), None).keys() == {"faces", "mean_error_px"}
