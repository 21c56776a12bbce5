"""ResNet18 from scratch, for grey images (He et al., Deep Residual Learning, 2015; layout of torchvision)."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import KerasTensor

from kp_tf.models.layers import batch_norm, landmarks, layer_seeds, residual_conv

layers: Any = keras.layers  # annotated for all backends at once

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # filters and the stride of the first of two blocks


def resnet18(shape: tuple[int, int], points: int, seed: int = 0) -> keras.Model:
    """Build the network: for an input of 224×224, conv1, pool and the stages are 112, 56, 56, 28, 14 and 7 wide.

    Args:
        shape: (H, W) of the grey input, pixels in [-0.5, 0.5].
        points: K; the last layer has 2 K outputs.
        seed: determines the weights.

    Returns:
        A model from (B, H, W, 1) to (B, K, 2) in the unit square of the crop.
    """
    seeds = layer_seeds(seed)
    image = layers.Input((*shape, 1), name="image")
    x = residual_conv(image, 64, 7, 2, seeds, name="conv1")
    x = layers.ReLU(name="relu1")(batch_norm(x, name="norm1"))
    x = layers.ZeroPadding2D(1, name="pool_pad")(x)  # after a ReLU, no value is below 0
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, (filters, strides) in enumerate(STAGES, 1):
        x = _block(x, filters, strides, seeds, name=f"stage{stage}_block1")
        x = _block(x, filters, 1, seeds, name=f"stage{stage}_block2")
    x = layers.GlobalAveragePooling2D(dtype="float32", name="average")(x)  # (B, 512)
    return keras.Model(image, landmarks(x, points, seeds), name="resnet18")


def _block(x: KerasTensor, filters: int, strides: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """Two 3×3 convolutions and a shortcut, which is projected if the shape changes."""
    y = residual_conv(x, filters, 3, strides, seeds, name=f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(batch_norm(y, name=f"{name}_norm1"))
    y = residual_conv(y, filters, 3, 1, seeds, name=f"{name}_conv2")
    y = batch_norm(y, name=f"{name}_norm2")
    if strides != 1 or x.shape[-1] != filters:
        x = residual_conv(x, filters, 1, strides, seeds, name=f"{name}_project")
        x = batch_norm(x, name=f"{name}_project_norm")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))
