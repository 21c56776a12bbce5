"""Export to LiteRT and ONNX, and packed weights."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import check_threads

from kp_tf.apps.export import export, pack
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends import load_network
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.evaluate.command import evaluate
from kp_tf.models.cnn import cnn
from kp_tf.recipes import RECIPES

IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 32, 32, 1)).astype(np.float32)


@pytest.fixture
def labels(ibug):
    return ibug / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"


def test_evaluate_takes_an_exported_file(exported, labels):
    before = evaluate(labels, run=str(exported["run"]))["all"]["euclidean_px"]["value"]
    after = evaluate(labels, run=str(exported["a.tflite"]))["all"]["euclidean_px"]["value"]
    assert after == pytest.approx(before, rel=0.02)
    with pytest.raises(KpError, match="--flips"):
        evaluate(labels, run=str(exported["a.tflite"]), flips=True)


def test_int8_says_what_it_costs_on_labelled_faces(exported, labels, tmp_path, capsys):
    out = export("litert", str(exported["run"]), tmp_path / "small.tflite", "int8", labels)
    assert out.stat().st_size < exported["a.tflite"].stat().st_size
    said = capsys.readouterr().out
    assert re.search(r"small\.tflite: 0\.0\d MB, int8 weights, of .*run\n", said)
    assert re.search(r"difference in points on 20 faces of .*: mean \d\.\d+, largest \d\.\d+ pixels of 32\n", said)
    before, after = (
        float(number) for number in re.search(r"NME \(one pass\) before (.*) %, after (.*) %", said).groups()
    )
    assert after == pytest.approx(before, rel=0.05)
    assert re.search(r"one face: Keras \d+\.\d ms \(.*\), the file \d+\.\d ms \(.*\)\n", said)
    _, keras_network = load_network(exported["run"])
    _, network = load_network(out)
    assert 0 < np.abs(network(IMAGES) - keras_network(IMAGES))[..., :2].max() < 0.05
    check_threads(network, np.tile(IMAGES, (3, 1, 1, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "onnx", "precision": "int8"}, "--int8 is not for --to onnx"),
        ({"to": "onnx", "out": "a.tflite"}, r"a\.tflite: the name must end in \.onnx"),
        ({"to": "litert", "out": "a"}, r"a: the name must end in \.tflite"),
        ({"to": "litert", "out": "no/a.tflite"}, r"no/a\.tflite: there is no folder .*no"),
        ({"to": "litert", "run": "nothing"}, "nothing is not a run"),
        ({"to": "litert", "runtime": Path("archives")}, "--runtime is for --to web alone"),
        ({"to": "onnx", "title": "Leaves"}, "--title is for --to web alone"),
        ({"to": "web", "runtime": Path("nowhere")}, "cannot read nowhere"),
    ],
)
def test_export_refuses_what_it_cannot_do(exported, tmp_path, options, message):
    if "out" in options:
        options = options | {"out": tmp_path / options["out"]}
    with pytest.raises(KpError, match=message):
        export(**{"run": str(exported["run"])} | options)
    assert not list(tmp_path.iterdir())


def test_packed_weights_give_nearly_the_same_points(exported, tmp_path, capsys):
    pack(exported["run"], tmp_path / "small.npz")
    assert re.fullmatch(r".*small\.npz: 0\.0\d MB\n", capsys.readouterr().out)
    info, network = load_network(tmp_path / "small.npz")
    expected_info, keras_network = load_network(exported["run"])
    assert info.to_json() == expected_info.to_json()
    assert np.abs(network(IMAGES) - keras_network(IMAGES))[..., :2].max() < 0.01
    with pytest.raises(KpError, match=r"small: the name must end in \.npz"):
        pack(exported["run"], tmp_path / "small")


def test_a_model_of_ones_own_is_evaluated_and_exported(tmp_path, labels, capsys):
    recipe = replace(RECIPES["course", 3], network="own", shape=(32, 32), crop_scale=1.3)
    run = tmp_path / "own"
    run.mkdir()
    model = cnn((32, 32), 68, convs=[(4, 5)], hidden=8)
    model.save(run / "model.keras")
    (run / "config.json").write_text(json.dumps(ModelInfo(run, recipe, IBUG68).to_json()))
    (run / "metrics.json").write_text('{"completed": "2026-01-01T00:00:00+00:00"}')
    out = export("litert", str(run), tmp_path / "own.tflite", labels=labels)
    assert "difference in points on 20 faces of" in capsys.readouterr().out
    expected = model.predict_on_batch(IMAGES)
    np.testing.assert_allclose(load_network(out)[1](IMAGES)[..., :2], expected, atol=1e-4)
    before, after = (evaluate(labels, run=str(path))["all"]["euclidean_px"]["value"] for path in (run, out))
    assert after == pytest.approx(before, rel=1e-3)
