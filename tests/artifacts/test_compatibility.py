"""Runs, packed weights and exported files of version 0.1 give the points that they gave then.

See old_run/README.md. Boxes are such that no window's edge lies near the middle of a pixel: another processor's last
bits would round it to the other side.
"""

from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kp_tf import Predictor
from kp_tf.artifacts.runs import read_run
from kp_tf.artifacts.weights import FOLDER, WEIGHTS
from kp_tf.backends import load_network
from kp_tf.core.files import read_json
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.data.samples import Samples
from kp_tf.predict.confidence import UNCALIBRATED
from kp_tf.predict.samples import predict_samples
from kp_tf.recipes import RECIPES
from kp_tf.training.config import TrainConfig

OLD = Path(__file__).parent / "old_run"
ASTRONAUT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
FACE = np.array([[263, 232, 269, 275]])
BOXES = np.array([[39, 30, 55, 69], [-9, 44, 43, 43], [87.5, 25.25, 51, 70]])
TOLERANCE = 0.01  # pixels


@pytest.fixture(scope="module")
def expected():
    with np.load(OLD / "expected.npz") as arrays:
        return dict(arrays)


def waves(height=120, width=160):
    """A picture (H, W, 3) that every machine draws alike."""
    y, x = np.mgrid[:height, :width]
    channels = [np.sin(x / (9 + 2 * c) + c) * np.cos(y / (13 - 3 * c)) for c in range(3)]
    return np.rint(127.5 + 127.5 * np.stack(channels, axis=-1)).astype(np.uint8)


loaded = cache(load_network)


def need_runtime(file):
    if module := {".tflite": "ai_edge_litert", ".onnx": "onnxruntime"}.get(Path(file).suffix):
        pytest.importorskip(module, reason="the extra runtime is not installed")


def predictor(source):
    """With upright windows, and the numbers that version 0.1 took where nothing was calibrated."""
    info, network = loaded(source)
    info = replace(info, recipe=replace(info.recipe, rotated_windows=False))
    return Predictor(replace(info, metrics=info.metrics | {"calibration": info.calibration or UNCALIBRATED}), network)


def check(faces, expected, points=TOLERANCE, confidence=1e-3):
    np.testing.assert_allclose([face.points for face in faces], expected[..., :2], atol=points)
    np.testing.assert_allclose([face.confidence for face in faces], expected[..., 2], atol=confidence)


@pytest.mark.parametrize(
    "name", ["part3-strong", "part2-strong", *(f"part3-strong.{s}" for s in ("npz", "tflite", "onnx"))]
)
def test_old_files_give_the_points_they_gave(expected, name):
    need_runtime(name)
    check(predictor(OLD / name).predict(waves(), BOXES), expected[name])


def test_an_old_run_on_whole_photographs_finds_the_face_it_found(expected):
    check(predictor(OLD / "part2-strong").predict(waves()), expected["part2-strong, framed"])


@pytest.mark.parametrize(("name", "boxes"), [("part3-strong", BOXES), ("part2-strong", [[0, 0, 160, 120]])])
def test_old_runs_give_their_points_for_files_and_with_flips(tmp_path, expected, name, boxes):
    Image.fromarray(waves()).save(tmp_path / "waves.png")
    info, network = loaded(OLD / name)
    count = len(boxes)
    samples = Samples(tmp_path, ("waves.png",) * count, np.array(boxes, float), None, info.scheme, ("",) * count)
    outputs = predict_samples(network, samples, info, framed=info.framing is not None, flips=True)
    np.testing.assert_allclose(outputs[..., :2], expected[f"{name}, samples"][..., :2], atol=TOLERANCE)
    np.testing.assert_allclose(outputs[..., 2], expected[f"{name}, samples"][..., 2], rtol=1e-3)


@pytest.mark.parametrize("name", ["compact", "large"])
@pytest.mark.parametrize(("suffix", "tolerances"), [(".npz", {}), (".tflite", {"points": 0.4, "confidence": 0.02})])
def test_committed_weights_give_the_points_they_gave(expected, name, suffix, tolerances):
    need_runtime(file := name + suffix)
    photograph = open_photograph(ASTRONAUT)  # every pixel is decoded, whatever the box
    check(predictor(FOLDER / file).predict(photograph, FACE), expected[f"{name}.npz"], **tolerances)


def test_an_old_run_says_what_its_network_is():
    faces, photographs = read_run(OLD / "part3-strong"), read_run(OLD / "part2-strong")
    assert (faces.scheme, photographs.scheme) == (IBUG68, IMM58)
    assert (faces.recipe.num_passes, faces.recipe.first_pass_scale, faces.recipe.crop_scale) == (2, 1.18, 1.36)
    assert faces.mean_face is not None
    assert faces.framing is None
    assert photographs.recipe.num_passes == 3
    assert photographs.mean_face is None
    assert photographs.framing is not None
    assert faces.metrics["val_nme"] == pytest.approx(1.4116, abs=1e-4)


def settings_of(name):
    return TrainConfig.from_json(OLD / name, read_json(OLD / name / "config.json"))


def test_an_old_run_is_resumed_with_its_settings():
    config = settings_of("part3-strong")
    recipe = config.recipe
    assert (recipe.name, recipe.part, recipe.scheme, recipe.network) == ("strong", 3, "ibug68", "heatmap")
    assert recipe.settings == {"widths": [8, 8, 16], "depths": [1, 1, 1]}
    assert (recipe.shape, recipe.stored_shape, recipe.stored_scale) == ((32, 32), (48, 48), 2.04)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.warmup_epochs) == (12, 4, 0.01, 1)
    assert recipe.loss_settings == {"w": 10.0, "epsilon": 2.0, "pixels": 128.0, "variance_weight": 1.0}
    assert recipe.augmentation == RECIPES["strong", None].augmentation
    assert (recipe.cooldown_fraction, recipe.weight_decay, recipe.precision) == (0.2, 0.02, "float32")
    assert (recipe.init, recipe.teacher) == (None, None)
    assert (config.data, config.is_sample, config.seed) == (Path("/tmp/faces"), False, 3)
    assert (config.deterministic, config.skip_bad, config.labels) == (False, False, None)


def test_an_old_run_of_the_course_is_resumed_as_the_course_is_trained():
    config = settings_of("part1-course")
    course = asdict(RECIPES["course", 1]) | {"epochs": 1}
    convs = [list(stage) for stage in course["settings"]["convs"]]
    assert asdict(config.recipe) == course | {"settings": {"convs": convs, "hidden": 128}}


def test_the_weights_of_the_project_are_read():
    assert WEIGHTS == ("compact", "large")
