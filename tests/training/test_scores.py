"""The scores of a network on the validation faces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_steps import OWN, THREE, TINY, write_own_labels, write_scheme

from kp_tf.core.geometry import crop_windows, to_unit
from kp_tf.core.keypoints import IMM58
from kp_tf.data.samples import Samples
from kp_tf.evaluate import metrics
from kp_tf.predict.samples import predict_samples
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import load
from kp_tf.training.scores import by_condition, score


def constant_network(points_norm, variance=np.nan):
    """Always the same points (K, 2) in the unit square."""
    output = np.concatenate([points_norm, np.full((len(points_norm), 1), variance)], axis=1).astype(np.float32)
    return lambda crops: np.repeat(output[None], len(crops), axis=0)


@pytest.fixture(scope="module")
def loaded(imm_data):
    """The 58 points of IMM."""
    return load(TrainConfig(replace(TINY, part=2, scheme="imm58"), imm_data), "CPU")


def points_of(imm):
    """The points of IMM's files in pixels, which are fractions of 160 × 120 there, by person."""
    points = {}
    for path in sorted((imm / "imm_face_db").glob("*.asf")):
        rows = [line.split()[2:4] for line in path.read_text().splitlines() if line.startswith("0 \t4")]
        points.setdefault(path.name[:2], []).append(np.array(rows, float) * (160, 120) - 0.5)
    return points


def test_scores_of_imm_from_the_files_alone(imm_data, loaded):
    report = score(constant_network(np.full((58, 2), 0.5)), loaded.info, loaded.training, loaded.validation).report
    points = points_of(imm_data)
    mean, truths = np.mean(points["31"] + points["32"], axis=0), points["33"] + points["34"]

    def errors_of(predicted):
        return [np.hypot(*(truth - predicted).T).mean() for truth in truths]

    errors = errors_of((79.5, 59.5))  # the middle of the photograph
    assert report["val_mean_error_px"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert report["mean_shape_error_px"] == pytest.approx(np.mean(errors_of(mean)), rel=1e-6)
    by_pose = {"frontal, neutral": np.mean(errors[::2]), "turned to their right": np.mean(errors[1::2])}
    assert report["val_mean_error_px_by_condition"] == pytest.approx(by_pose, abs=1e-3)
    assert "calibration" not in report


def test_the_mean_shape_scores_as_the_mean_shape(loaded):
    training = loaded.training.upright
    mean = metrics.mean_shape(to_unit(training.labels, crop_windows(training.boxes, None)))
    scores = score(constant_network(mean), loaded.info, loaded.training, loaded.validation)
    np.testing.assert_allclose(scores.predicted, scores.mean_shape, atol=1e-3)
    for name in ("nme", "mean_error_px", "aligned_error_px"):
        other = scores.report[f"mean_shape_{'error_px' if name == 'mean_error_px' else name}"]
        assert scores.report[f"val_{name}"] == pytest.approx(other, rel=1e-4)


def test_faces_without_eyes_are_scored_in_pixels(tmp_path):
    labels, scheme = write_own_labels(tmp_path / "own"), write_scheme(tmp_path / "scheme.json")
    files = {"labels": labels, "val_labels": labels, "scheme_file": scheme}
    loaded = load(TrainConfig(OWN, labels.parent, **files), "CPU")
    seen, network = loaded.validation, constant_network(np.full((3, 2), 0.5), variance=0.01)
    points = seen.upright.labels.copy()
    points[:, THREE.names.index("right eye")] = np.nan
    blind = replace(seen, upright=replace(seen.upright, points=points))
    reports = [score(network, loaded.info, loaded.training, side).report for side in (seen, blind)]
    assert reports[0]["val_nme"] > 0
    assert not {"val_nme", "mean_shape_nme"} & set(reports[1])
    assert np.isfinite(reports[1]["val_mean_error_px"])
    assert reports[1]["calibration"] is None
    assert reports[1]["uncalibrated"] == "the validation faces have 30 labelled points, and 200 are needed"
    assert reports[0]["usual_deviation"] == pytest.approx(0.1)
    assert reports[0]["max_deviation"] == pytest.approx(1.35 * 0.1)


def test_further_faces_are_scored_on_their_own_and_join_the_limit(tmp_path):
    labels, more = write_own_labels(tmp_path / "own"), write_own_labels(tmp_path / "more")
    config = TrainConfig(OWN, labels.parent, labels=labels, add_val=(more,), scheme_file=write_scheme(tmp_path / "s"))
    loaded = load(config, "CPU")
    network = constant_network(np.full((3, 2), 0.5), variance=0.01)
    alone, report = (
        score(network, loaded.info, loaded.training, loaded.validation, added).report for added in ({}, loaded.added)
    )
    assert set(report) - set(alone) == {"added_validation"}
    assert alone.pop("uncalibrated") == "it needs 20 validation faces, not 2"
    assert report.pop("uncalibrated") == "the validation faces have 55 labelled points, and 200 are needed"
    assert {name: report[name] for name in alone} == alone, "its own validation faces are as before"
    row = report["added_validation"]["mine"]
    assert (row["faces"], row["over_10"]) == (20, 1.0)
    wide = constant_network(np.full((3, 2), 0.5), variance=0.04)
    seen = iter([network, wide])

    def by_turns(crops):
        return next(seen)(crops)

    more = loaded.added["mine"].take(range(20))
    training = replace(loaded.training, samples=loaded.training.samples.take([]))
    report = score(by_turns, loaded.info, training, loaded.validation, {"hard": more}).report
    assert report["max_deviation"] == pytest.approx(0.2)


def test_further_faces_are_tried_at_other_rotations_as_in_prediction(tmp_path, monkeypatch):
    labels, more = write_own_labels(tmp_path / "own"), write_own_labels(tmp_path / "more")
    config = TrainConfig(OWN, labels.parent, labels=labels, add_val=(more,), scheme_file=write_scheme(tmp_path / "s"))
    loaded = load(config, "CPU")
    limits = []

    def recorded(network, samples, info, framed=False):
        limits.append(info.usual_deviation)
        return predict_samples(network, samples, info, framed)

    monkeypatch.setattr("kp_tf.training.scores.predict_samples", recorded)
    network = constant_network(np.full((3, 2), 0.5), variance=0.01)
    score(network, loaded.info, loaded.training, loaded.validation, loaded.added)
    assert limits[0] is None
    assert limits[-1] == pytest.approx(0.1), "beyond which a face is tried at other rotations"


def test_errors_by_pose_and_expression():
    files = ("33-1m.jpg", "33-2f.jpg", "34-1m.jpg", "40-6m.jpg")
    samples = Samples(Path(), files, np.zeros((4, 4)), None, IMM58, ("",) * 4)
    errors = by_condition(samples, np.array([1.0, 2.0, 3.0, 4.0]))
    assert {name: list(values) for name, values in errors.items()} == {
        "frontal, neutral": [1.0, 3.0],
        "frontal, happy": [2.0],
        "as they liked": [4.0],
    }
