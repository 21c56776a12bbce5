from dataclasses import replace

import numpy as np
import pytest

from kp_tf.core.keypoints import IBUG68, NOSE
from kp_tf.input.augment import DRAWS
from kp_tf.models.cnn import cnn
from kp_tf.models.resnet18 import resnet18
from kp_tf.recipes import COMPACT, PART1, PART2
from kp_tf.training.networks import build, compiled, transform


@pytest.fixture(scope="module")
def resnet():
    """ResNet18 with every weight drawn at random, batch-norm statistics too."""
    model = resnet18((224, 224), 68, seed=0)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = rng.normal(0, 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), weight.shape)
        weight.assign(np.abs(value) + 0.5 if weight.name in ("gamma", "moving_variance") else value)
    return model


def test_resnet18_parameters(resnet):
    assert resnet.count_params() == 11_249_608
    assert sum(np.prod(weight.shape) for weight in resnet.trainable_weights) == 11_240_008
    conv1 = resnet.get_layer("conv1")
    assert conv1.kernel.shape == (7, 7, 1, 64)
    assert not conv1.use_bias


def test_resnet18_shapes_after_each_stage(resnet):
    names = ["relu1", "pool", *[f"stage{k}_block2_relu2" for k in (1, 2, 3, 4)]]
    shapes = [resnet.get_layer(name).output.shape[1:] for name in names]
    widths = [(112, 64), (56, 64), (56, 64), (28, 128), (14, 256), (7, 512)]
    assert shapes == [(width, width, filters) for width, filters in widths]


def numpy_conv(x, kernel, stride, padding):
    """Convolution written from its definition: a sum over the kernel's places of shifted pictures."""
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    size = kernel.shape[0]
    out = [(x.shape[axis] - size) // stride + 1 for axis in (0, 1)]
    result = np.zeros((*out, kernel.shape[-1]))
    for i in range(size):
        for j in range(size):
            seen = x[i : i + stride * out[0] : stride, j : j + stride * out[1] : stride][: out[0], : out[1]]
            result += seen @ kernel[i, j].astype(np.float64)
    return result


def numpy_resnet18(image, weights):
    """ResNet18 layer by layer from the published description, in float64."""

    def conv_norm(x, conv, norm, stride):
        kernel = weights[f"{conv}/kernel"]
        x = numpy_conv(x, kernel, stride, kernel.shape[0] // 2)
        gamma, beta, mean, var = (
            weights[f"{norm}/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta

    x = np.maximum(conv_norm(image, "conv1", "norm1", 2), 0)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    even = len(x)
    x = np.max([padded[i : i + even : 2, j : j + even : 2] for i in range(3) for j in range(3)], axis=0)
    for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        for block in (1, 2):
            name, first = f"stage{stage}_block{block}", stride if block == 1 else 1
            y = np.maximum(conv_norm(x, f"{name}_conv1", f"{name}_norm1", first), 0)
            y = conv_norm(y, f"{name}_conv2", f"{name}_norm2", 1)
            if f"{name}_project/kernel" in weights:
                x = conv_norm(x, f"{name}_project", f"{name}_project_norm", first)
            x = np.maximum(x + y, 0)
    x = x.mean(axis=(0, 1)) @ weights["coordinates/kernel"] + weights["coordinates/bias"]
    return x.reshape(68, 2)


def test_resnet18_agrees_with_an_independent_computation(resnet):
    small = resnet18((96, 96), 68, seed=1)  # the weights do not know the size, and the loops are shorter
    small.set_weights(resnet.get_weights())
    weights = {weight.path: weight.numpy() for weight in small.weights}
    image = np.random.default_rng(1).uniform(-0.5, 0.5, (96, 96, 1)).astype(np.float32)
    expected = numpy_resnet18(image.astype(np.float64), weights)
    assert np.abs(expected).max() > 0.1
    got = small.predict(image[None], verbose=0)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_part2_is_the_courses_network():
    model = cnn(PART2.shape, 58, **PART2.settings, seed=0)
    assert model.count_params() == 184_052
    assert model.get_layer("pool5").output.shape == (None, 1, 2, 128)
    assert model.get_layer("hidden").kernel.shape == (256, 200)
    assert model.get_layer("coordinates").kernel.shape == (200, 116)


def test_part1_is_three_convolutions_and_two_dense_layers():
    model = cnn(PART1.shape, 1, **PART1.settings, seed=0)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert [kinds.count(kind) for kind in ("Conv2D", "ReLU", "MaxPooling2D", "Dense")] == [3, 4, 3, 2]
    assert model.output.shape == (None, 1, 2)


def test_initialisation_is_pytorchs():
    plain, res = cnn(PART2.shape, 58, **PART2.settings, seed=3), resnet18((64, 64), 68, seed=3)
    for layer, fan_in in ((plain.get_layer("conv2"), 16 * 25), (plain.get_layer("hidden"), 256)):
        for values in layer.get_weights():
            assert np.abs(values).max() <= fan_in**-0.5
            assert np.abs(values).max() > 0.9 * fan_in**-0.5
            assert values.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.2)
    kernel = res.get_layer("stage3_block1_conv1").get_weights()[0]  # fan-out 9 × 256
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.01)
    assert np.abs(kernel).max() > 3.5 * np.sqrt(2 / (9 * 256)), "not truncated"
    norm = res.get_layer("norm1")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


def test_seed_fixes_the_weights_and_every_layer_differs():
    one, same, other = (cnn(PART2.shape, 58, **PART2.settings, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    block = resnet18((64, 64), 68, seed=0)
    kernels = [block.get_layer(f"stage1_block{k}_conv1").get_weights()[0] for k in (1, 2)]
    assert not np.array_equal(*kernels)


def test_a_step_is_traced_once():
    model, traced = compiled(build(PART1, 1, seed=0), PART1, NOSE, steps=2), []
    step = model.train_step
    model.train_step = lambda data: traced.append(data) or step(data)
    model.fit(np.zeros((4, 60, 80, 1), np.float32), np.zeros((4, 1, 2), np.float32), 2, verbose=0)
    assert len(traced) == 1


def test_augmentation_of_half_strength_flips_as_often():
    halved = {name: value / 2 for name, value in COMPACT.augmentation.items()} | {"flip": 0.5}
    rng, mirror = np.random.default_rng(0), IBUG68.mirror
    images = rng.uniform(0, 255, (8, *COMPACT.stored_shape, 1)).astype(np.float32)
    given = (
        images,
        rng.uniform(0, 1, (8, 68, 2)).astype(np.float32),
        rng.uniform(0, 1, (8, DRAWS)).astype(np.float32),
    )
    found = transform(COMPACT, mirror, 0.5)(*given)
    for one, other in zip(found, transform(replace(COMPACT, augmentation=halved), mirror)(*given), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found[1] - transform(COMPACT, mirror)(*given)[1]).max() > 0.01


def test_output_is_not_bounded():
    model = cnn(PART1.shape, 1, **PART1.settings, seed=0)
    model.get_layer("coordinates").bias.assign([-3.0, 4.0])
    x, y = model.predict(np.zeros((1, 60, 80, 1)), verbose=0)[0, 0]
    assert x < -2
    assert y > 3
