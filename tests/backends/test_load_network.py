"""Networks by name, run or file: the same points from every backend, and files that are not the project's."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import INFO, check_threads
from PIL import Image

from kp_tf.artifacts.weights import FOLDER, committed
from kp_tf.backends import load_network
from kp_tf.backends.litert_file import DESCRIPTION
from kp_tf.backends.network import check_tensors
from kp_tf.core.errors import KpError
from kp_tf.core.images import crop_image
from kp_tf.predict.cascade import scale_crops

IMAGE, POINTS = ((1, 32, 32, 1), True), ((1, 68, 3), True)  # shape, and whether it is of float32
ASTRONAUT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 32, 32, 1)).astype(np.float32)


@pytest.mark.parametrize(("name", "most"), [("a.tflite", 1e-5), ("half.onnx", 3e-3)])
def test_exported_files_give_the_points_of_the_run(exported, name, most):
    _, keras_network = load_network(exported["run"])
    info, network = load_network(exported[name])
    assert json.dumps(info.to_json()) == json.dumps(INFO.to_json())
    assert info.path == exported[name]
    expected = keras_network(IMAGES)
    assert expected.shape == (3, 68, 3)
    for images, points in ((IMAGES, expected), (IMAGES[:1], expected[:1])):  # batches of any size
        assert 0 <= np.abs(network(images) - points).max() < most


@pytest.mark.parametrize("name", ["run", "a.tflite", "half.onnx"])  # int8 is in apps/test_export.py
def test_threads_share_a_network(exported, name):
    images = np.random.default_rng(1).uniform(-0.5, 0.5, (9, 32, 32, 1)).astype(np.float32)
    check_threads(load_network(exported[name])[1], images)


def test_few_images_do_not_change_the_size_of_the_batch(exported, monkeypatch):
    from ai_edge_litert.interpreter import Interpreter

    sizes, resize = [], Interpreter.resize_tensor_input
    monkeypatch.setattr(
        Interpreter, "resize_tensor_input", lambda *given: (sizes.append(given[2][0]), resize(*given))[1]
    )
    network = load_network(exported["a.tflite"])[1]
    for count in (1, 3, 2, 1):
        assert network(IMAGES[:count]).shape == (count, 68, 3)
    assert sizes == [1]
    assert network(np.repeat(IMAGES, 20, axis=0)).shape == (60, 68, 3)
    assert sizes == [1, 60]


@pytest.mark.parametrize("name", ["a.tflite", "half.onnx"])
def test_exported_files_name_no_place_on_the_machine(exported, name):
    assert b"/secret/place" in (exported["run"] / "config.json").read_bytes()
    assert b"/secret/place" not in exported[name].read_bytes()


def changed(path, target, change):
    """A copy of an exported .tflite whose description is changed."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read(DESCRIPTION))
    change(about)
    target.write_bytes(content[: about["bytes"]])
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(DESCRIPTION, json.dumps(about))


def test_files_that_are_not_exported_have_one_clear_message(exported, tmp_path):
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
    changed(exported["a.tflite"], tmp_path / "same.tflite", lambda about: None)
    changed(
        exported["a.tflite"], tmp_path / "shape.tflite", lambda about: about["config"]["recipe"].update(shape=[64] * 2)
    )
    changed(
        exported["a.tflite"],
        tmp_path / "scheme.tflite",
        lambda about: about["config"].update(scheme="nose", mean_face=None),
    )
    load_network(tmp_path / "same.tflite")
    for name in (*bad, "shape.tflite", "scheme.tflite"):
        with pytest.raises(KpError, match=rf"{name}: expected a network that `python -m kp_tf export` wrote"):
            load_network(tmp_path / name)
    with pytest.raises(KpError, match="no such file"):
        load_network(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([IMAGE], [], r"outputs none, not one of \[batch, 68, 3\]"),
        ([IMAGE, IMAGE], [POINTS], r"inputs \[1, 32, 32, 1\], \[1, 32, 32, 1\], not one of \[batch, 32, 32, 1\]"),
        ([IMAGE], [((1, 68, 2), True)], r"outputs \[1, 68, 2\], not one of"),
        ([((1, 32, 32, 1), False)], [POINTS], r"inputs \[1, 32, 32, 1\] \(not float32\), not one of"),
    ],
)
def test_a_model_with_other_tensors_is_refused(inputs, outputs, message):
    check_tensors(INFO, [IMAGE], [POINTS])
    with pytest.raises(KpError, match=message):
        check_tensors(INFO, inputs, outputs)


def test_a_renamed_pickle_is_refused(exported, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "metrics.json"):
        (run / name).write_text((exported["run"] / name).read_text())
    (run / "model.keras").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(KpError, match=r"cannot read .*model\.keras"):
        load_network(run)
    (tmp_path / "a.keras").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(KpError, match=r"a\.keras is not a run"):
        load_network(tmp_path / "a.keras")


@pytest.mark.parametrize(("name", "most_bytes"), [("compact", 3_000_000), ("large", 9_000_000)])
def test_committed_weights_are_the_same_through_litert_and_keras(name, most_bytes):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    path, packed = FOLDER / f"{name}.tflite", committed(name)
    assert path.stat().st_size <= most_bytes
    assert packed.path.stat().st_size <= most_bytes
    info, network = load_network(name)
    assert info.path == path
    assert (info.to_json(), info.metrics) == (packed.to_json(), packed.metrics)
    grey, faces = Image.open(ASTRONAUT).convert("L"), [(240, 200, 310 + 8 * k, 310 + 8 * k) for k in range(5)]
    images = scale_crops(np.stack([crop_image(grey, np.array(face), info.recipe.shape) for face in faces])[..., None])
    _, keras_network = load_network(packed.path)
    difference = np.abs(network(images) - keras_network(images))[..., :2] * info.recipe.shape[1]
    assert difference.mean() < 0.1, "pixels of the crop"
    assert difference.max() < 1


def test_prediction_needs_no_tensorflow():
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
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
