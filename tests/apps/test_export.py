import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_predictor import CONFIG, RECIPE

from kp_tf.apps.export import export
from kp_tf.artifacts.weights import HERE, committed
from kp_tf.backends.engines import ABOUT, load_engine
from kp_tf.backends.inference import load_network
from kp_tf.core.errors import KpError
from kp_tf.evaluate.command import evaluate
from kp_tf.predict.predictor import Predictor
from kp_tf.training.networks import build

pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
pytest.importorskip("onnxruntime", reason="the extra runtime is not installed")
pytest.importorskip("tf2onnx", reason="the extra export is not installed")

IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 32, 32, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run with a small network that was never trained, and its exported files by suffix."""
    folder = tmp_path_factory.mktemp("exported")
    run = folder / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(CONFIG | {"data": "/secret/place"}))
    (run / "metrics.json").write_text(json.dumps({"completed": "2026-01-01T00:00:00+00:00"}))
    build(RECIPE, 68, seed=0).save(run / "model.keras")
    files = {"run": run}
    for to, precision, name in (
        ("litert", "float32", "a.tflite"),
        ("onnx", "float16", "half.onnx"),
    ):
        files[name] = export(to, str(run), folder / name, precision)
    return files


@pytest.mark.parametrize(("name", "most"), [("a.tflite", 1e-5), ("half.onnx", 3e-3)])
def test_exported_files_give_the_networks_points(exported, name, most):
    _, keras_network = load_engine(exported["run"])
    run, network = load_engine(exported[name])
    assert run.config == json.loads(json.dumps(CONFIG)), "without paths of the machine"
    expected = keras_network(IMAGES)
    assert expected.shape == (3, 68, 3)
    for images, points in ((IMAGES, expected), (IMAGES[:1], expected[:1])):  # batches of any size
        assert 0 <= np.abs(network(images) - points).max() < most


def test_evaluate_takes_an_exported_file(exported, ibug):
    labels = ibug / "ibug_300W_large_face_landmark_dataset" / "labels_ibug_300W_train.xml"
    before = evaluate(labels, run=str(exported["run"]))["all"]["euclidean_px"]["value"]
    after = evaluate(labels, run=str(exported["a.tflite"]))["all"]["euclidean_px"]["value"]
    assert after == pytest.approx(before, rel=0.02)
    with pytest.raises(KpError, match="--flips"):
        evaluate(labels, run=str(exported["a.tflite"]), flips=True)


def test_export_refuses_what_it_cannot_do(exported, tmp_path):
    for arguments, message in (
        ({"to": "onnx", "precision": "int8"}, "expected --to litert"),
        ({"to": "onnx", "out": tmp_path / "a.tflite"}, r"ends in \.onnx"),
        ({"to": "litert", "out": tmp_path / "no" / "a.tflite"}, "expected to write this file"),
    ):
        with pytest.raises(KpError, match=message):
            export(run=str(exported["run"]), **arguments)
    assert not list(tmp_path.iterdir())


def changed(path, target, change):
    """A copy of an exported .tflite whose text about itself is changed."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read(ABOUT))
    change(about)
    target.write_bytes(content[: about["bytes"]])
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(ABOUT, json.dumps(about))


def test_files_that_are_not_ours_have_one_clear_message(exported, tmp_path):
    whole = exported["a.tflite"].read_bytes()
    bad = {
        "cut.tflite": whole[: len(whole) // 2],
        "bare.tflite": whole[: whole.index(b"PK\x03\x04")],
        "text.tflite": b"no model",
        "empty.onnx": b"",
        "cut.onnx": exported["half.onnx"].read_bytes()[:3000],
        "flipped.tflite": whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    changed(exported["a.tflite"], tmp_path / "shape.tflite", lambda about: about["config"].update(shape=[64, 64]))
    changed(exported["a.tflite"], tmp_path / "scheme.tflite", lambda about: about["config"].update(scheme="nose"))
    for name in (*bad, "shape.tflite", "scheme.tflite"):
        with pytest.raises(KpError, match=rf"{name}: expected a network that `python -m kp_tf export` wrote"):
            load_engine(tmp_path / name)
    with pytest.raises(KpError, match="no such file"):
        load_engine(tmp_path / "nothing.onnx")


def test_a_pickle_renamed_is_refused(exported, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "metrics.json"):
        (run / name).write_text((exported["run"] / name).read_text())
    (run / "model.keras").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(KpError, match=r"model\.keras: expected the network of a run"):
        Predictor.load(run)
    (tmp_path / "a.keras").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(KpError, match=r"a\.keras: expected a run"):
        Predictor.load(tmp_path / "a.keras")


def test_committed_compact_is_the_same_twice():
    path = HERE / "compact.tflite"
    assert path.stat().st_size <= 3_000_000
    chosen = committed("compact")
    assert chosen.path.stat().st_size <= 3_000_000
    run, network = load_engine("compact")
    assert run.path == path
    assert (run.config, run.metrics) == (chosen.config, chosen.metrics)
    images = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 128, 128, 1)).astype(np.float32)
    expected = load_network(chosen)(images)
    apart = np.abs(network(images) - expected)
    assert apart[..., :2].max() * 128 < 0.2, "pixels of the crop"


def test_prediction_needs_no_tensorflow():
    program = """
import sys
from kp_tf.predict.predictor import Predictor
import numpy as np
faces = Predictor.load().predict(np.zeros((200, 200), np.uint8), [50, 50, 100, 100])
assert faces[0].points.shape == (68, 2)
print([name for name in ("tensorflow", "keras", "pandas", "matplotlib", "tqdm", "psutil") if name in sys.modules])
"""
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert answer.stdout == "[]\n", answer.stderr
