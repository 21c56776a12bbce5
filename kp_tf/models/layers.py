"""Layers as PyTorch lays them out and starts them, so that the course's networks can be compared and carried over.

Functions of a tensor, with `keras` alone. Kernels are drawn from integer seeds, one for each layer.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import KerasTensor, layers


def layer_seeds(seed: int) -> Iterator[int]:
    """Independent integer seeds for the layers of one network."""
    return iter(np.random.SeedSequence(seed).generate_state(1000).tolist())


def conv(x: KerasTensor, filters: int, kernel: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """A 'valid' convolution with a bias, kernel and bias uniform in ±1/√fan-in (`torch.nn.Conv2d`)."""
    start = _uniform(kernel * kernel * x.shape[-1], seeds)
    return layers.Conv2D(filters, kernel, **start, name=name)(x)


def dense(x: KerasTensor, units: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """A dense layer, kernel and bias uniform in ±1/√fan-in (`torch.nn.Linear`)."""
    return layers.Dense(units, **_uniform(x.shape[-1], seeds), name=name)(x)


def _uniform(fan_in: int, seeds: Iterator[int]) -> dict[str, keras.initializers.Initializer]:
    limit = fan_in**-0.5
    return {
        name: keras.initializers.RandomUniform(-limit, limit, seed=next(seeds))
        for name in ("kernel_initializer", "bias_initializer")
    }


def residual_conv(
    x: KerasTensor, filters: int, kernel: int, strides: int, seeds: Iterator[int], name: str
) -> KerasTensor:
    """ResNet's convolution: kernel // 2 zeros on every side, no bias, He's normal over the fan-out."""
    if kernel > 1:  # 'same' would pad a stride of two on one side only
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=next(seeds))
    return layers.Conv2D(filters, kernel, strides=strides, use_bias=False, kernel_initializer=start, name=name)(x)


def batch_norm(x: KerasTensor, name: str, momentum: float = 0.9) -> KerasTensor:
    """Batch norm with PyTorch's epsilon; a momentum of 0.9 is PyTorch's 0.1."""
    return layers.BatchNormalization(momentum=momentum, epsilon=1e-5, name=name)(x)


def landmarks(x: KerasTensor, points: int, seeds: Iterator[int]) -> KerasTensor:
    """The last layer: (B, points, 2) in the unit square of the crop, free to leave it."""
    x = dense(x, 2 * points, seeds, name="coordinates")
    return layers.Reshape((points, 2), dtype="float32", name="landmarks")(x)
