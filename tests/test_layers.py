import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.models.layers import BatchNormalization

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
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
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

    mine, stock = model(BatchNormalization), model(keras.layers.BatchNormalization)
    mine.get_layer("norm").set_weights([RNG.uniform(0.5, 1.5, 6) for _ in range(4)])
    mine.save_weights(tmp_path / "a.weights.h5")
    stock.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_allclose(stock(INPUTS), mine(INPUTS), atol=1e-5)
    mine.save(tmp_path / "b.keras")
    loaded = keras.saving.load_model(tmp_path / "b.keras")
    assert isinstance(loaded.get_layer("norm"), BatchNormalization)
    np.testing.assert_allclose(loaded(INPUTS), mine(INPUTS), atol=1e-6)
