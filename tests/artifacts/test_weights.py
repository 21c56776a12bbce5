from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import INFO, RECIPE, write_run

from kp_tf.apps.export import pack
from kp_tf.artifacts.weights import describe_model, load_weights, read_weights, save_weights
from kp_tf.backends.keras_backend import load_model
from kp_tf.core.errors import KpError
from kp_tf.models.build import build_network


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """A run whose weights were changed, as by a training."""
    run = write_run(tmp_path_factory.mktemp("trained") / "run")
    model = keras.saving.load_model(run / "model.keras", compile=False)
    for weight in model.weights:
        weight.assign(weight + np.random.default_rng(0).uniform(0, 0.1, weight.shape))
    model.save(run / "model.keras")
    return run


def test_packed_weights_are_those_of_the_run_in_half_precision(tmp_path, trained_run):
    model, path = load_model(replace(INFO, path=trained_run)), tmp_path / "tiny.npz"
    with pytest.raises(KpError, match=r"--out .*tiny: the name must end in \.npz"):
        pack(trained_run, tmp_path / "tiny")
    pack(trained_run, path)
    packed = load_model(read_weights(path))
    for a, b in zip(model.weights, packed.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-7)
    images = np.random.default_rng(1).uniform(-0.5, 0.5, (4, 32, 32, 1)).astype(np.float32)
    difference = np.abs(model.predict(images, verbose=0) - packed.predict(images, verbose=0)).max()
    assert 0 < difference < 0.01, "of the unit square"


def test_a_packed_file_says_what_its_network_is(tmp_path, trained_run):
    pack(trained_run, tmp_path / "tiny.npz")
    info = read_weights(tmp_path / "tiny.npz")
    assert (info.name, info.scheme, info.recipe.shape) == ("tiny", INFO.scheme, RECIPE.shape)
    assert info.metrics == {"completed": "2026-01-01T00:00:00+00:00"}


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(tmp_path / "tiny.npz", build_network(RECIPE, 68, seed=1), describe_model(INFO))
    larger = build_network(replace(RECIPE, settings={"widths": (8, 16), "depths": (1, 1)}), 68, seed=0)
    with pytest.raises(KpError, match=r"tiny\.npz: the weights .* of shape .* are missing"):
        load_weights(tmp_path / "tiny.npz", larger)
