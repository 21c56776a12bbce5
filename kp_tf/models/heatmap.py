"""Heatmaps whose means are the points (Sun et al., Integral Human Pose Regression, 2018), on a light U-shape.

`keras` alone, so that any backend trains and runs it.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from kp_tf.models.layers import BatchNormalization, layer_seeds

layers: Any = keras.layers  # annotated for all backends at once
ops: Any = keras.ops

STRIDE = 4  # of the first convolution
FOLD = 2  # the heatmap is this many times as fine as the features that its scores are made of
MARGIN = 1  # cells of these features around the window, so that a point can lie a little outside
MOMENTUM = 0.97  # of batch norm: a few hundred steps of memory would lag behind short trainings


@keras.saving.register_keras_serializable("kp_tf")
class SoftArgmax(layers.Layer):
    """Scores of places to the mean and the variance of each point's heatmap, in float32 whatever the policy.

    A cell holds the scores of FOLD × FOLD places for K points; its outermost MARGIN cells lie outside the window.
    """

    def __init__(self, points: int, **kwargs: object) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.points = points

    def call(self, scores: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """(B, h, w, FOLD² K) to x, y (B, K, 2) in the window's unit square, and their variances' sum (B, K, 1)."""
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
    """x and y (h w FOLD², 2) float32 of the heatmap's places in the window's unit square, in the scores' order."""
    part = (np.arange(FOLD) + 0.5) / FOLD - MARGIN
    y, x, down, right = np.meshgrid(np.arange(h), np.arange(w), part, part, indexing="ij")
    unit = (x + right) / (w - 2 * MARGIN), (y + down) / (h - 2 * MARGIN)
    return np.stack(unit, axis=-1).reshape(-1, 2).astype(np.float32)


def heatmap_network(
    shape: tuple[int, int], points: int, widths: Sequence[int], depths: Sequence[int], seed: int
) -> keras.Model:
    """Build the network: residual blocks down, one addition for each stage back up to stride 8, heatmaps.

    Args:
        shape: (H, W) of the grey input, pixels in [-0.5, 0.5].
        points: K.
        widths: filters of the stages at stride 4, 8, 16, …; two at least.
        depths: their numbers of blocks.
        seed: fixes the weights.

    Returns:
        A model from (B, H, W, 1) to (B, K, 2) in the unit square of the window. See `with_variance`.

    Raises:
        ValueError: if the stages do not divide the shape.
    """
    coarsest = STRIDE * 2 ** (len(widths) - 1)
    if any(side % coarsest for side in shape):
        raise ValueError(f"height and width must be multiples of {coarsest}. Received: shape={shape}")
    seeds = layer_seeds(seed)
    image = layers.Input((*shape, 1), name="image")
    # of twice the stride: patches that overlap see an edge that falls between two of them
    x = _norm_relu(_conv(image, widths[0], 2 * STRIDE, STRIDE, seeds, name="stem"), name="stem")
    stages = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        for block in range(1, depth + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, width, strides, seeds, name=f"stage{stage}_block{block}")
        stages.append(x)
    for stage in range(len(widths) - 1, 1, -1):
        x = _up(x, stages[stage - 1], seeds, name=f"up{stage}")
    x = layers.ZeroPadding2D(MARGIN, name="margin")(x)
    x = _norm_relu(_conv(x, widths[1], 3, 1, seeds, name="top"), name="top")
    # float32, because bfloat16 rounds a score of 10 by up to 0.03, and so its place's share by 3 %
    start = keras.initializers.HeNormal(seed=next(seeds))
    scores = layers.Conv2D(FOLD**2 * points, 1, kernel_initializer=start, dtype="float32", name="scores")(x)
    coordinates, _ = SoftArgmax(points, name="landmarks")(scores)
    return keras.Model(image, coordinates, name="heatmap")


def with_variance(model: keras.Model) -> keras.Model:
    """The same layers with output (B, K, 3): x, y and their variance, to train and for a confidence."""
    outputs = model.get_layer("landmarks").output
    joined = layers.Concatenate(dtype="float32", name="with_variance")(outputs)
    return keras.Model(model.input, joined, name="heatmap_with_spread")


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one picture in the convolutions and dense layers; all else is less than one in a hundred."""
    counted = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    return sum(math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape) for layer in counted)


def _conv(x: KerasTensor, filters: int, kernel: int, strides: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """Without a bias, because a batch norm follows each."""
    start = keras.initializers.HeNormal(seed=next(seeds))
    return layers.Conv2D(
        filters, kernel, strides, "same", use_bias=False, kernel_initializer=start, name=f"{name}_conv"
    )(x)


def _norm(x: KerasTensor, name: str) -> KerasTensor:
    return BatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=f"{name}_norm")(x)


def _norm_relu(x: KerasTensor, name: str) -> KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(_norm(x, name))


def _block(x: KerasTensor, width: int, strides: int, seeds: Iterator[int], name: str) -> KerasTensor:
    """Two 3×3 convolutions beside a shortcut, which is projected where the shape changes."""
    y = _norm_relu(_conv(x, width, 3, strides, seeds, f"{name}_1"), f"{name}_1")
    y = _norm(_conv(y, width, 3, 1, seeds, f"{name}_2"), f"{name}_2")
    if strides != 1 or x.shape[-1] != width:
        x = _conv(x, width, 1, strides, seeds, f"{name}_project")
        x = _norm(x, f"{name}_project")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _up(x: KerasTensor, finer: KerasTensor, seeds: Iterator[int], name: str) -> KerasTensor:
    """Project onto the filters of the stage before, double the sides and add."""
    x = _norm(_conv(x, finer.shape[-1], 1, 1, seeds, name), name)
    x = layers.UpSampling2D(2, name=f"{name}_larger")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, finer]))
