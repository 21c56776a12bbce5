import keras
import numpy as np
import pytest
import tensorflow as tf

from kp_tf.models.convolution import Conv2D

CASES = [  # shape of the input, kernel, strides, padding
    ((7, 6, 16), 3, 1, "same"),
    ((7, 6, 16), 2, 1, "same"),
    ((9, 8, 16), 3, 1, "valid"),
    ((16, 14, 16), 3, 2, "valid"),
    ((15, 14, 16), 3, 2, "same"),
    ((14, 14, 16), 1, 2, "valid"),
    ((31, 30, 1), 7, 2, "valid"),
]


def gradients(cls, dtype, shape, kernel, strides, padding):
    """The gradients of input and kernel of one layer of this class, and the operations they are computed by."""
    random = np.random.default_rng(0)
    start = keras.initializers.RandomNormal(seed=1)
    layer = cls(8, kernel, strides, padding, use_bias=False, dtype=dtype, kernel_initializer=start)
    images = tf.constant(random.normal(size=(4, *shape)), tf.float32)
    weights = tf.constant(random.normal(size=layer.compute_output_shape((4, *shape))), tf.float32)
    layer.build(images.shape)

    @tf.function
    def compute(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(tf.cast(layer(images), tf.float32) * weights)
        return tape.gradient(loss, [images, layer.kernel.value])

    operations = {operation.type for operation in compute.get_concrete_function(images).graph.get_operations()}
    return [gradient.numpy() for gradient in compute(images)], operations


@pytest.mark.parametrize("case", CASES)
def test_the_gradients_in_bfloat16_are_those_of_keras(case):
    expected, _ = gradients(keras.layers.Conv2D, "float32", *case)
    found, operations = gradients(Conv2D, "mixed_bfloat16", *case)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())
    assert ("MatMul" in operations) == (case[0][2] > 1)
    assert ("Conv2DBackpropFilter" in operations) == (case[0][2] == 1)


@pytest.mark.parametrize(("dtype", "shape"), [("float32", (7, 7, 16)), ("mixed_bfloat16", (9, 9, 16))])
def test_other_gradients_are_tensorflows_own(dtype, shape):
    found, operations = gradients(Conv2D, dtype, shape, 3, 1, "same")
    expected, _ = gradients(keras.layers.Conv2D, dtype, shape, 3, 1, "same")
    np.testing.assert_array_equal(found[1], expected[1])
    assert "Conv2DBackpropFilter" in operations


def test_a_layer_without_a_known_size_is_keras_own():
    layer = Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")
    image = keras.Input((None, None, 3))
    assert keras.Model(image, layer(image)).output_shape == (None, None, None, 4)
