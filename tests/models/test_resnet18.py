import numpy as np
import pytest

from kp_tf.models.resnet18 import resnet18


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
