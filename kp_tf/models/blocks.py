"""Parts of the heatmap networks: residual blocks down, additions up. They use `keras` alone."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import KerasTensor

from kp_tf.models.convolution import Conv2D
from kp_tf.models.layers import BatchNormalization

layers: Any = keras.layers  # annotated for all backends at once

MOMENTUM = 0.97  # of batch norm: averages over hundreds of steps would lag behind in short trainings


def conv_norm(x: KerasTensor, filters: int, kernel: int, strides: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """A convolution without a bias, and batch norm."""
    start = keras.initializers.HeNormal(seed=next(seeds))
    x = Conv2D(filters, kernel, strides, "same", use_bias=False, kernel_initializer=start, name=f"{name}_conv")(x)
    return BatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=f"{name}_norm")(x)


def conv_norm_relu(
    x: KerasTensor, filters: int, kernel: int, strides: int, seeds: Iterator[int], name: str
) -> KerasTensor:
    """The same and a ReLU."""
    return layers.ReLU(name=f"{name}_relu")(conv_norm(x, filters, kernel, strides, seeds, name))


def residual_block(x: KerasTensor, width: int, strides: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """Two 3×3 convolutions and a shortcut, which is projected if the shape changes."""
    y = conv_norm_relu(x, width, 3, strides, seeds, f"{name}_1")
    y = conv_norm(y, width, 3, 1, seeds, f"{name}_2")
    if strides != 1 or x.shape[-1] != width:
        x = conv_norm(x, width, 1, strides, seeds, f"{name}_project")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def add_upsampled(x: KerasTensor, finer: KerasTensor, seeds: Iterator[int], name: str) -> KerasTensor:
    """Project onto the filters of the finer stage, double the resolution and add."""
    x = conv_norm(x, finer.shape[-1], 1, 1, seeds, name)
    x = layers.UpSampling2D(2, name=f"{name}_larger")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, finer]))
