"""A training of the detector from a list of pictures to a run directory."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kp_tf.backends.keras_backend import load_detector_with_keras
from kp_tf.backends.litert_file import LitertModel
from kp_tf.core.errors import KpError
from kp_tf.training.detector.batches import batches, draw_batch
from kp_tf.training.detector.mosaics import Source
from kp_tf.training.detector.pictures import load, read_list
from kp_tf.training.detector.train import train

SETTINGS = {"epochs": 1, "steps": 2, "batch": 2, "rate": 1e-3, "seed": 0, "processes": 1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A list of four pictures, one of them for validation."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (90, 100), np.uint8)).save(folder / f"{number}.png")
    entries = [{"file": f"{number}.png", "faces": [[50, 45, 30, 10 * number]], "set": "noise"} for number in range(4)]
    content = {"training": entries[1:], "validation": entries[:1]}
    (folder / "list.json").write_text(json.dumps(content))
    return folder / "list.json"


@pytest.fixture(scope="module")
def first(pictures, tmp_path_factory):
    """The run of a training of two steps."""
    return train(pictures, tmp_path_factory.mktemp("runs") / "first", **SETTINGS)


def test_batches_drawn_elsewhere_are_those_of_their_numbers(pictures):
    source = Source.of(load(read_list(pictures)["training"]))
    elsewhere = batches(pictures, seed=5, first=3, size=2, side=160, processes=1)
    for number in (3, 4):
        for drawn, expected in zip(next(elsewhere), draw_batch(source, 5, number, 2, 160), strict=True):
            assert (drawn == expected).all()
    elsewhere.close()


@pytest.mark.long
def test_a_training_leaves_its_network_its_losses_and_the_faces_found(pictures, first):
    picture = np.zeros((1, 64, 96, 1), np.float32)
    cells = LitertModel(first / "detector.tflite")(picture), load_detector_with_keras(first / "detector.npz")(picture)
    np.testing.assert_allclose(*cells, atol=0.1)  # one file has kernels of 8 bits
    assert np.isfinite(pd.read_csv(first / "history.csv")[["loss", "val_loss"]]).all(axis=None)
    assert "noise (1)" in (first / "found.txt").read_text()
    before = (first / "checkpoint.npz").read_bytes()
    train(pictures, first, **SETTINGS)  # it is finished, so nothing changes
    assert (first / "checkpoint.npz").read_bytes() == before
    with pytest.raises(KpError, match="other settings"):
        train(pictures, first, **{**SETTINGS, "seed": 1})


@pytest.mark.long
def test_a_training_starts_from_the_weights_of_another(pictures, first, tmp_path):
    more = train(pictures, tmp_path / "more", **{**SETTINGS, "rate": 0.0, "seed": 1}, init=first)
    before, after = (np.load(run / "detector.npz") for run in (first, more))
    kernels = [name for name in before.files if name.endswith("kernel")]
    assert kernels
    for name in kernels:
        np.testing.assert_array_equal(before[name], after[name])
    assert json.loads(str(after["about"]))["detector"]["init"] == "first"
