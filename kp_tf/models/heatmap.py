"""A light U-shaped network whose points are the means of heatmaps (Sun et al., Integral Human Pose Regression, 2018).

It uses `keras` alone, so it runs on every backend of Keras.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from kp_tf.models.blocks import add_upsampled, conv_norm_relu, residual_block
from kp_tf.models.layers import layer_seeds

layers: Any = keras.layers  # annotated for all backends at once
ops: Any = keras.ops

STRIDE = 4  # of the first convolution
FOLD = 2  # the heatmap has this many times the resolution of the features that its scores are computed from
MARGIN = 1  # cells of these features around the window, so that a point can lie a little outside


@keras.saving.register_keras_serializable("kp_tf")
class SoftArgmax(layers.Layer):
    """Turns scores into the mean and the variance of each point's heatmap, in float32 whatever the dtype policy.

    A cell holds the scores of FOLD × FOLD places for K points. The outermost MARGIN cells lie outside the window.
    """

    def __init__(self, points: int, **kwargs: object) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.points = points

    def call(self, scores: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """Scores (B, h, w, FOLD² K) to x, y (B, K, 2) in the window's unit square and the sum of their variances
        (B, K, 1)."""
        _, h, w, _ = scores.shape
        places = grid_points(h, w)
        scores = ops.reshape(scores, (-1, len(places), self.points))
        heatmap = ops.softmax(ops.transpose(scores, (0, 2, 1)))  # (B, K, places)
        centred = places - 0.5  # the variance is a difference of squares, which loses least about the centre
        moments = ops.matmul(heatmap, np.concatenate([centred, centred**2], axis=1))  # (B, K, 4)
        mean, square = moments[..., :2], moments[..., 2:]
        variance = ops.sum(ops.relu(square - mean**2), axis=-1, keepdims=True)
        return mean + 0.5, variance

    def get_config(self) -> dict:
        return {**super().get_config(), "points": self.points}


def grid_points(h: int, w: int) -> np.ndarray:
    """Places of a heatmap of h × w cells: x and y (h w FOLD², 2) float32 in the window's unit square, in the order of
    the scores."""
    part = (np.arange(FOLD) + 0.5) / FOLD - MARGIN
    y, x, down, right = np.meshgrid(np.arange(h), np.arange(w), part, part, indexing="ij")
    unit = (x + right) / (w - 2 * MARGIN), (y + down) / (h - 2 * MARGIN)
    return np.stack(unit, axis=-1).reshape(-1, 2).astype(np.float32)


def heatmap_network(
    shape: tuple[int, int], points: int, widths: Sequence[int], depths: Sequence[int], seed: int = 0
) -> keras.Model:
    """Build the network: residual blocks down, one addition for each stage back up to stride 8, heatmaps.

    Args:
        shape: (H, W) of the grey input, pixels in [-0.5, 0.5].
        points: K.
        widths: filters of the stages at stride 4, 8, 16, …; at least two.
        depths: number of blocks of each stage.
        seed: determines the weights.

    Returns:
        A model from (B, H, W, 1) to (B, K, 2) in the unit square of the window. See also `with_variance`.

    Raises:
        ValueError: if the shape is not a multiple of the last stage's stride.
    """
    coarsest = STRIDE * 2 ** (len(widths) - 1)
    if any(side % coarsest for side in shape):
        raise ValueError(f"height and width must be multiples of {coarsest}. Received: shape={shape}")
    seeds = layer_seeds(seed)
    image = layers.Input((*shape, 1), name="image")
    # kernels of twice the stride overlap, so an edge between two patches is seen by one of them
    x = conv_norm_relu(image, widths[0], 2 * STRIDE, STRIDE, seeds, name="stem")
    stages = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        for block in range(1, depth + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = residual_block(x, width, strides, seeds, name=f"stage{stage}_block{block}")
        stages.append(x)
    for stage in range(len(widths) - 1, 1, -1):
        x = add_upsampled(x, stages[stage - 1], seeds, name=f"up{stage}")
    x = layers.ZeroPadding2D(MARGIN, name="margin")(x)
    x = conv_norm_relu(x, widths[1], 3, 1, seeds, name="top")
    # float32, because bfloat16 rounds a score of 10 by up to 0.03, and the probability of its place by 3 %
    start = keras.initializers.HeNormal(seed=next(seeds))
    scores = layers.Conv2D(FOLD**2 * points, 1, kernel_initializer=start, dtype="float32", name="scores")(x)
    coordinates, _ = SoftArgmax(points, name="landmarks")(scores)
    return keras.Model(image, coordinates, name="heatmap")


def with_variance(model: keras.Model) -> keras.Model:
    """The same layers with output (B, K, 3): x, y and their variance, which training and confidence need."""
    outputs = model.get_layer("landmarks").output
    joined = layers.Concatenate(dtype="float32", name="with_variance")(outputs)
    return keras.Model(model.input, joined, name="heatmap_with_spread")


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds for one picture in the convolutions and dense layers; all others are less than 1 %."""
    counted = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    return sum(math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape) for layer in counted)
