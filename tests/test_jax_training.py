"""What runs on JAX gives what it gives on TensorFlow: augmentation, loss, and the network of a training."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import write_ibug

from benchmarks.jax_training import Prepared, finish, fit, prepare
from kp_tf.artifacts.find import find_model
from kp_tf.backends.keras_backend import load_model
from kp_tf.core.errors import KpError
from kp_tf.input.augment import NUM_DRAWS, augment
from kp_tf.models.losses import HeatmapLoss
from kp_tf.predict.cascade import scale_crops
from kp_tf.recipes import COMPACT

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]
FIT, PARTNERS = ROOT / "benchmarks" / "jax_training.py", (1, 0, 2, 4, 3)
BETA = "stem_norm/beta"


@pytest.fixture(scope="module", autouse=True)
def _jax():
    pytest.importorskip("jax", reason="the extra jax is not installed")


def on_jax(*arguments):
    """Run Python with Keras on JAX, and without TensorFlow; returns what it prints."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    hidden = "import sys; sys.modules['tensorflow'] = None\n"
    code = f"{hidden}import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


AUGMENT = """
import sys
import numpy as np
from kp_tf.input.augment import augment
from kp_tf.models.losses import HeatmapLoss
from kp_tf.recipes import COMPACT
given = np.load(sys.argv[1])
images, points = augment(
    given["images"], given["points"], given["draws"], COMPACT.augmentation, (1, 0, 2, 4, 3), (64, 64), 0.53, 1.18)
outputs = np.concatenate([points[..., :2], np.full((len(images), 5, 1), 0.001, np.float32)], axis=-1)
loss = HeatmapLoss(**COMPACT.loss_settings)(np.tile(given["points"], (1, 2, 1)), outputs)
np.savez(sys.argv[2], images=images, points=points, loss=loss)
"""


def test_augmentation_and_loss_are_those_of_tensorflow(tmp_path):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (64, 15, 15, 1)).repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    points = random.uniform(0.2, 0.8, (64, 5, 2)).astype(np.float32)
    points[3, 1] = np.nan
    draws = random.uniform(size=(64, NUM_DRAWS)).astype(np.float32)
    np.savez(tmp_path / "given.npz", images=images, points=points, draws=draws)
    (tmp_path / "augment.py").write_text(AUGMENT)
    on_jax(tmp_path / "augment.py", tmp_path / "given.npz", tmp_path / "seen.npz")
    changed = augment(images, points, draws, COMPACT.augmentation, PARTNERS, (64, 64), 0.53, 1.18)
    expected, moved = (each.numpy() for each in changed)
    seen = np.load(tmp_path / "seen.npz")
    np.testing.assert_allclose(seen["points"], moved, atol=1e-5)
    np.testing.assert_allclose(seen["images"], expected, atol=0.05)  # of 255
    outputs = np.concatenate([moved, np.full((64, 5, 1), 0.001, np.float32)], axis=-1)
    loss = HeatmapLoss(**COMPACT.loss_settings)(np.tile(points, (1, 2, 1)), outputs)
    np.testing.assert_allclose(seen["loss"], loss, rtol=1e-5)


PREDICT = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.jax_training import Prepared
from kp_tf.predict.cascade import scale_crops
pictures = scale_crops(Prepared.read(Path(sys.argv[1])).pictures("validation"))
np.save(sys.argv[3], np.asarray(Prepared.read(Path(sys.argv[2])).network()(pictures)))
"""


def test_a_network_trained_on_jax_predicts_the_same_on_tensorflow(tmp_path):
    data, crops, trained, packed = write_ibug(tmp_path), *(tmp_path / f"{name}.npz" for name in ("crops", "fit", "out"))
    (tmp_path / "predict.py").write_text(PREDICT)
    prepare(crops, part=3, recipe="strong", data=str(data), init="compact", teacher="compact", batch_size=8)
    lines = on_jax(FIT, "fit", crops, trained, "--epochs", 4).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [f"epoch {number}" for number in range(1, 5)]
    begun, ended = Prepared.read(crops), Prepared.read(trained)
    assert (begun.info.recipe.epochs, ended.info.recipe.epochs) == (320, 4)
    assert 0 < np.abs(ended.arrays[BETA] - begun.arrays[BETA]).max() < 0.1
    on_jax(tmp_path / "predict.py", crops, trained, tmp_path / "seen.npy")
    finish(trained, packed)
    info = find_model(str(packed))
    expected = load_model(info).predict_on_batch(scale_crops(begun.pictures("validation")))
    np.testing.assert_allclose(np.load(tmp_path / "seen.npy"), expected, atol=1e-4)
    assert info.metrics["training_images"] == len(begun.arrays["index"])


def test_a_training_begins_with_the_weights_of_another(tmp_path):
    data, crops, one, other = write_ibug(tmp_path), *(tmp_path / f"{name}.npz" for name in ("crops", "one", "other"))
    prepare(crops, part=3, recipe="strong", data=str(data), init="compact", teacher="compact", batch_size=16)
    with np.load(crops) as archive:
        arrays = dict(archive)
    np.savez(one, **(arrays | {BETA: arrays[BETA] + 1}))
    on_jax(FIT, "fit", crops, other, "--epochs", 1, "--learning-rate", 1e-9, "--seed", 3, "--init", one)
    ended = Prepared.read(other)
    np.testing.assert_allclose(ended.arrays[BETA], arrays[BETA] + 1, rtol=1e-5)
    assert (ended.config["seed"], ended.info.recipe.init, ended.info.recipe.precision) == (3, str(one), "float32")


def test_what_cannot_be_trained_is_refused(tmp_path):
    data = str(write_ibug(tmp_path))
    with pytest.raises(KpError, match="strong and large"):
        prepare(tmp_path / "crops.npz", part=3, recipe="course", data=data)
    with pytest.raises(KpError, match="--submit has no effect"):
        prepare(tmp_path / "crops.npz", part=3, recipe="strong", data=data, submit=tmp_path / "a.csv")
    with pytest.raises(KpError, match="set KERAS_BACKEND=jax"):
        fit(tmp_path / "crops.npz", tmp_path / "trained.npz")
    with pytest.raises(KpError, match=r"crops\.npz"):
        Prepared.read(tmp_path / "crops.npz")
