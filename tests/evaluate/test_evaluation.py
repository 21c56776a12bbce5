import json
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest

from kp_tf.apps.kaggle import predict_kaggle, read_submission
from kp_tf.artifacts import runs
from kp_tf.artifacts.runs import Run
from kp_tf.artifacts.weights import choose_run, load_weights, save_weights
from kp_tf.backends import inference
from kp_tf.backends.inference import load_model
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.evaluate import command as evaluation
from kp_tf.evaluate.command import evaluate
from kp_tf.predict.predictor import Predictor
from kp_tf.recipes import COMPACT
from kp_tf.training.networks import build

TINY = replace(COMPACT, shape=(32, 32), settings={"widths": (8, 8), "depths": (1, 1)})
CONFIG = {"recipe" if key == "name" else key: value for key, value in asdict(TINY).items()} | {"sample": False}


@pytest.fixture
def run(tmp_path):
    """A completed run with a small heatmap network that was never trained."""
    folder = tmp_path / "a-run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "metrics.json").write_text(json.dumps({"completed": "2026-01-01T00:00:00+00:00"}))
    build(TINY, 68, seed=0).save(folder / "model.keras")
    return folder


def test_evaluate_scores_and_draws(run, ibug, tmp_path, capsys):
    labels = ibug / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"
    everything = evaluate(labels, run=str(run), json=tmp_path / "scores.json")
    assert everything["all"]["faces"] == 20
    assert json.loads((tmp_path / "scores.json").read_text())["all"] == everything["all"]
    assert (tmp_path / "scores-ced.png").is_file()
    assert (tmp_path / "scores-worst.png").is_file()
    assert (tmp_path / "scores-faces.png").is_file()
    assert "jaw" in capsys.readouterr().out
    part = evaluate(labels, run=str(run), split="validation", precision="mixed_bfloat16")
    assert 0 < part["all"]["faces"] < 20
    assert (everything["precision"], part["precision"]) == ("float32", "mixed_bfloat16")

    # the same network on the same faces, scored by hand
    about = Run(run, CONFIG, {})
    network = inference.for_prediction(keras.saving.load_model(run / "model.keras"), about)
    records = read_dlib_xml(labels, IBUG68)
    predicted = inference.predict_records(network, records, about)
    by_hand = np.hypot(*np.moveaxis(predicted - records.points, -1, 0)).mean()
    assert everything["all"]["euclidean_px"]["value"] == pytest.approx(by_hand, rel=1e-6)


def test_evaluate_scores_found_faces_and_counts_the_others(run, ibug, monkeypatch, capsys):
    labels = ibug / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"
    records = read_dlib_xml(labels, IBUG68)
    # on the first half of the photographs the given box and one beside it, on the others one that hardly touches
    found = iter(
        [[box + (55, 0, 0, 0), box] if k < 10 else [box + (50, 50, 0, 0)] for k, box in enumerate(records.boxes)]
    )
    load = Predictor.load

    def with_finder(source):
        predictor = load(source)
        predictor._find = lambda picture: np.array(next(found))
        return predictor

    monkeypatch.setattr(evaluation.Predictor, "load", with_finder)
    monkeypatch.setattr("kp_tf.predict.predictor.cores", lambda: 1)  # in order
    summary = evaluate(labels, run=str(run), found=True)
    assert summary["found"] == {"faces": 10, "of": 20}
    assert "Found 10 of 20 faces" in capsys.readouterr().out
    given = load(run).predict(records.root / records.files[0], records.boxes[0])[0].points
    first = np.linalg.norm(given - records.points[0], axis=-1).mean()
    assert summary["all"]["faces"] == 10
    assert 0 < summary["all"]["euclidean_px"]["value"] < 3 * first


def test_evaluate_takes_imms_folder(run, imm):
    config = CONFIG | {"scheme": "nose"}
    (run / "config.json").write_text(json.dumps(config))
    build(TINY, 1, seed=0).save(run / "model.keras")
    summary = evaluate(imm / "imm_face_db", run=str(run), split="validation")
    assert summary["all"]["faces"] == 4, "people 33 and 34, two pictures each"
    assert "nme_mean" not in summary["all"]


def test_weights_round_trip_in_half_precision(tmp_path):
    model, other = build(TINY, 68, seed=1), build(TINY, 68, seed=2)
    for weight in model.weights:  # as after a training
        weight.assign(weight + np.random.default_rng(0).uniform(0, 0.1, weight.shape))
    folder = tmp_path / "packed"
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "metrics.json").write_text(json.dumps({"completed": "2026-01-01T00:00:00+00:00"}))
    with pytest.raises(KpError, match=r"tiny: expected a name that ends in .npz"):
        inference.pack(folder, tmp_path / "tiny")
    inference.pack(folder, tmp_path / "tiny.npz")
    load_weights(tmp_path / "tiny.npz", other)
    pictures = np.random.default_rng(1).uniform(-0.5, 0.5, (4, 32, 32, 1)).astype(np.float32)
    difference = np.abs(model.predict(pictures, verbose=0) - other.predict(pictures, verbose=0)).max()
    assert 0 < difference < 0.01, "of the unit square"
    loaded = load_model(Run(tmp_path / "tiny.npz", CONFIG, {}))
    np.testing.assert_array_equal(loaded.predict(pictures, verbose=0), other.predict(pictures, verbose=0))


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(tmp_path / "tiny.npz", build(TINY, 68, seed=1), Run(tmp_path, CONFIG, {}))
    wider = build(replace(TINY, settings={"widths": (8, 16), "depths": (1, 1)}), 68, seed=0)
    with pytest.raises(KpError, match=r"tiny\.npz: expected weights"):
        load_weights(tmp_path / "tiny.npz", wider)


def test_choose_run_prefers_the_newest_run(run, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", run.parent)
    assert choose_run(None).path == run
    with pytest.raises(KpError, match="expected a run"):
        choose_run("nothing-there")


def test_predict_kaggle_averages_flips_of_heatmap_networks(run, ibug, tmp_path):
    written = {}
    for flips in (None, True, False):
        out = predict_kaggle(run=str(run), data=str(ibug), out=tmp_path / f"{flips}.csv", flips=flips)
        written[flips] = read_submission(out, faces=4)
    np.testing.assert_array_equal(written[None], written[True])
    assert np.abs(written[True] - written[False]).max() > 0.1
