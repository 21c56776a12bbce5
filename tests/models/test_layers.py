import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import RECIPE

from kp_tf.models.build import build_network
from kp_tf.models.layers import BatchNormalization, folded
from kp_tf.recipes import PART3

STOCK = keras.layers.BatchNormalization
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(1, 2, (3, 5, 4, 6)).astype(np.float32)


def layer_of(kind, **settings):
    layer = kind(momentum=0.9, epsilon=1e-5, **settings)
    layer.build(INPUTS.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 1.5, 6) for _ in range(4)])
    return layer


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_equals_the_stock_layer(dtype, training):
    results = []
    for kind in (BatchNormalization, STOCK):
        layer = layer_of(kind, dtype=dtype)
        with tf.GradientTape() as tape:
            inputs = tf.constant(INPUTS)
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        gradients = tape.gradient(loss, [inputs, *[weight.value for weight in layer.trainable_weights]])
        assert outputs.dtype == layer.compute_dtype
        results.append([np.array(tf.cast(x, tf.float32)) for x in [outputs, *gradients, *layer.get_weights()]])
    for fused, stock in zip(*results, strict=True):
        scale = np.abs(stock).max()
        np.testing.assert_allclose(fused, stock, atol=scale * (1e-5 if dtype == "float32" else 2e-2))


def test_batch_norm_frozen_uses_its_statistics():
    layer = layer_of(BatchNormalization)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(INPUTS, training=True), layer(INPUTS, training=False))
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batch_norm_weight_files_load_either_way(tmp_path):
    def model(kind):
        image = keras.Input((5, 4, 6))
        return keras.Model(image, kind(name="norm")(image))

    mine, stock = model(BatchNormalization), model(STOCK)
    mine.get_layer("norm").set_weights([RNG.uniform(0.5, 1.5, 6) for _ in range(4)])
    mine.save_weights(tmp_path / "a.weights.h5")
    stock.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_allclose(stock(INPUTS), mine(INPUTS), atol=1e-5)
    mine.save(tmp_path / "b.keras")
    loaded = keras.saving.load_model(tmp_path / "b.keras")
    assert isinstance(loaded.get_layer("norm"), BatchNormalization)
    np.testing.assert_allclose(loaded(INPUTS), mine(INPUTS), atol=1e-6)


def test_batch_norm_epsilon_is_the_stock_layers():
    inputs = (np.random.default_rng(2).normal(0, 3e-3, INPUTS.shape)).astype(np.float32)  # a variance of 1e-5
    mine, stock = (layer_of(kind)(inputs, training=True) for kind in (BatchNormalization, STOCK))
    np.testing.assert_allclose(mine, stock, atol=2e-5 * np.abs(stock).max())


def test_batch_norm_has_the_stock_layers_configuration_and_names():
    mine, stock = layer_of(BatchNormalization, name="norm"), layer_of(STOCK, name="norm")
    assert mine.get_config() == stock.get_config()
    assert [weight.path for weight in mine.weights] == [weight.path for weight in stock.weights]
    assert type(mine).__name__ == type(stock).__name__, "from which Keras derives the keys of weight files"


OTHERS = [{"axis": 1}, {"scale": False}, {"center": False}, {"dtype": "float64"}, {"synchronized": True}]


@pytest.mark.parametrize("settings", [*OTHERS, {"backend": "jax"}], ids=str)
def test_batch_norm_is_the_stock_layer_where_the_kernel_is_another(settings, monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "FusedBatchNormV3", None)  # calling it would fail
    if "backend" in settings:
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        settings = {}
    mine, stock = BatchNormalization(**settings), STOCK(**settings)
    np.testing.assert_allclose(mine(INPUTS, training=False), stock(INPUTS, training=False))
    if "synchronized" not in settings:  # which asks for replicas
        np.testing.assert_allclose(mine(INPUTS, training=True), stock(INPUTS, training=True))


REPLICAS = """
import keras, numpy, tensorflow as tf
from kp_tf.models.layers import BatchNormalization

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng, results = numpy.random.default_rng(0), []
images, truth = rng.normal(1, 2, (8, 6, 5, 3)).astype("f4"), rng.normal(size=(8, 3)).astype("f4")
for kind in (BatchNormalization, keras.layers.BatchNormalization):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        image = keras.Input((6, 5, 3))
        model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(kind(momentum=0.5)(image)))
        model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(images, truth, batch_size=4, epochs=2, shuffle=False, verbose=0)
    results.append(model.get_weights())
for mine, stock, start in zip(*results, (1, 0, 0, 1), strict=True):
    numpy.testing.assert_allclose(mine, stock, atol=1e-5)
    assert abs(mine - start).min() > 1e-3
"""


@pytest.mark.slow
def test_batch_norm_on_two_replicas_equals_the_stock_layer():
    subprocess.run([sys.executable, "-c", REPLICAS], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(("recipe", "precision"), [(PART3, "float32"), (RECIPE, "float32"), (RECIPE, "mixed_bfloat16")])
def test_folded_computes_the_same_without_norms(recipe, precision):
    model = build_network(replace(recipe, shape=(32, 32)), 3, seed=0, precision=precision)
    rng = np.random.default_rng(0)
    model.set_weights([value + (value.ndim == 1) * rng.uniform(0, 0.3, value.shape) for value in model.get_weights()])
    made = folded(model)
    assert not [layer for layer in made.layers if isinstance(layer, keras.layers.BatchNormalization)]
    images = rng.uniform(-0.5, 0.5, (4, 32, 32, 1)).astype(np.float32)
    expected = model(images, training=False).numpy()
    near = expected.std() * (1e-4 if precision == "float32" else 0.1)
    np.testing.assert_allclose(made(images, training=False), expected, atol=near)
