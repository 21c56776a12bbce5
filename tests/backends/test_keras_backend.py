from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import INFO, write_run

from kp_tf.backends.keras_backend import for_prediction, load_keras_network, load_model
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import NOSE
from kp_tf.models.build import build_network
from kp_tf.models.heatmap import with_variance
from kp_tf.recipes import PART1

IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 32, 32, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run")


def test_a_network_gives_the_points_and_variances_of_its_model(run):
    info = replace(INFO, path=run)
    network, expected = load_keras_network(info), with_variance(load_model(info)).predict_on_batch(IMAGES)
    for count in (3, 1):
        outputs = network(IMAGES[:count])
        assert outputs.shape == (count, 68, 3)
        np.testing.assert_allclose(outputs, expected[:count], atol=1e-5)


def test_a_network_without_heatmaps_has_no_variance():
    model = build_network(PART1, 1, seed=0)
    outputs = for_prediction(model, replace(INFO, recipe=PART1, scheme=NOSE))(np.zeros((2, 60, 80, 1), np.float32))
    assert outputs.shape == (2, 1, 3)
    assert np.isnan(outputs[..., 2]).all()
    np.testing.assert_allclose(outputs[..., :2], model.predict_on_batch(np.zeros((2, 60, 80, 1))), atol=1e-6)


def test_a_run_is_loaded_in_another_precision(run):
    exact, fast = (load_model(replace(INFO, path=run), precision) for precision in ("float32", "mixed_bfloat16"))
    assert exact.get_layer("stem_conv").compute_dtype == "float32"
    assert fast.get_layer("stem_conv").compute_dtype == "bfloat16"
    for one, other in zip(exact.get_weights(), fast.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, r"cannot read .*model\.keras: no such file"),
        (lambda path: path.write_bytes(b"PK"), r"cannot read .*model\.keras: "),
        (lambda path: build_network(PART1, 68, seed=0).save(path), r"which is not what config\.json says"),
        (lambda path: build_network(INFO.recipe, 5, seed=0).save(path), r"which is not what config\.json says"),
        (lambda path: keras.Sequential([keras.layers.Dense(2)]).save(path), r"cannot read .*model\.keras: "),
    ],
    ids=["missing", "damaged", "another input", "other points", "no shape"],
)
@pytest.mark.filterwarnings("ignore:.*not.*built:UserWarning")
def test_files_that_are_not_the_runs_network_are_one_message(tmp_path, write, message):
    write(tmp_path / "model.keras")
    with pytest.raises(KpError, match=message):
        load_model(replace(INFO, path=tmp_path))
