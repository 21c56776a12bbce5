"""The plain networks of parts 1 and 2: convolution, ReLU and 2×2 max-pool, then two dense layers."""

from collections.abc import Sequence
from typing import Any

import keras

from kp_tf.models.layers import conv, dense, landmarks, layer_seeds

layers: Any = keras.layers  # annotated for all backends at once


def cnn(
    shape: tuple[int, int], points: int, convs: Sequence[tuple[int, int]], hidden: int, seed: int = 0
) -> keras.Model:
    """Build the network.

    Args:
        shape: (H, W) of the grey input, pixels in [-0.5, 0.5].
        points: K.
        convs: (filters, kernel size) of each stage.
        hidden: units of the first dense layer.
        seed: determines the weights.

    Returns:
        A model from (B, H, W, 1) to (B, K, 2) in the unit square.
    """
    seeds = layer_seeds(seed)
    x = image = layers.Input((*shape, 1), name="image")
    for number, (filters, kernel) in enumerate(convs, 1):
        x = conv(x, filters, kernel, seeds, name=f"conv{number}")
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.ReLU(name="hidden_relu")(dense(x, hidden, seeds, name="hidden"))
    return keras.Model(image, landmarks(x, points, seeds), name="cnn")
