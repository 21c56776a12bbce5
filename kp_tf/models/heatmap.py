"""Soft-argmax heatmaps: a light U-shape whose points are the means of distributions over places.

After Sun et al., Integral Human Pose Regression (2018) and Nibali et al., Numerical Coordinate Regression (2018).
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import KerasTensor, layers
from keras import ops as K

from kp_tf.models.layers import batch_norm, layer_seeds

STRIDE = 4  # pixels to a cell of the heatmap
MOMENTUM = 0.97


@keras.saving.register_keras_serializable("kp_tf")
class SoftArgmax(layers.Layer):
    """Scores of places to the mean place and the spread of each point, in float32 whatever the policy.

    Each cell of the input holds the scores of fold × fold places for K points, so the heatmap is `fold` times as
    fine as the input. Its outermost `margin` cells lie outside the window's unit square.
    """

    def __init__(self, points: int, fold: int, margin: int, **kwargs: object) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.points, self.fold, self.margin = points, fold, margin

    def call(self, scores: KerasTensor) -> KerasTensor:
        """(B, h, w, fold² K) to (B, K, 3): x, y, and the variance of both together (in units squared)."""
        _, h, w, channels = scores.shape
        places = K.reshape(scores, (-1, h * w * channels // self.points, self.points))
        share = K.softmax(K.transpose(places, (0, 2, 1)))  # (B, K, places)
        x, y = self.grid(h, w)
        moments = K.matmul(share, np.stack([x, y, (x - 0.5) ** 2 + (y - 0.5) ** 2], axis=1))
        mean = moments[..., :2]
        spread = moments[..., 2:] - K.sum((mean - 0.5) ** 2, axis=-1, keepdims=True)
        return K.concatenate([mean, K.relu(spread)], axis=-1)

    def grid(self, h: int, w: int) -> np.ndarray:
        """(2, places) float32: x and y of every place in the window's unit square, in the order of the scores."""
        part = (np.arange(self.fold) + 0.5) / self.fold
        y, x, dy, dx = np.meshgrid(np.arange(h), np.arange(w), part, part, indexing="ij")
        sides = w - 2 * self.margin, h - 2 * self.margin
        unit = [(a + b - self.margin) / side for a, b, side in zip((x, y), (dx, dy), sides, strict=True)]
        return np.reshape(unit, (2, -1)).astype(np.float32)

    def get_config(self) -> dict:
        return {**super().get_config(), "points": self.points, "fold": self.fold, "margin": self.margin}


def heatmap_network(
    shape: tuple[int, int],
    points: int,
    widths: Sequence[int],
    depths: Sequence[int],
    seed: int,
    kind: str = "basic",
    stem: int = 8,
    level: int = 1,
    top_depth: int = 1,
    head32: bool = True,
) -> keras.Model:
    seeds = layer_seeds(seed)
    image = keras.Input((*shape, 1), name="image")
    x = _conv(image, widths[0], stem, STRIDE, seeds, "stem")
    x = _norm_relu(x, "stem")
    block = {"basic": _basic, "bottle": _bottleneck, "fused": _fused, "depthwise": _depthwise}[kind]
    skips = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        for number in range(1, depth + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            x = block(x, width, strides, seeds, f"stage{stage}_block{number}")
        skips.append(x)
    for stage in range(len(widths) - 1, level, -1):
        x = _conv(x, widths[stage - 1], 1, 1, seeds, f"up{stage}")
        x = layers.UpSampling2D(2, name=f"up{stage}_larger")(batch_norm(x, f"up{stage}_norm", MOMENTUM))
        x = layers.Add(name=f"up{stage}_add")([x, skips[stage - 1]])
        x = layers.ReLU(name=f"up{stage}_relu")(x)
        if stage > level + 1:
            x = _norm_relu(_conv(x, widths[stage - 1], 3, 1, seeds, f"up{stage}_conv"), f"up{stage}_conv")
    fold = 2 ** (level) if level < len(widths) else 1
    x = layers.ZeroPadding2D(1, name="margin")(x)
    for n in range(top_depth):
        x = _norm_relu(_conv(x, x.shape[-1], 3, 1, seeds, f"top{n}"), f"top{n}")
    extra = {"dtype": "float32"} if head32 else {}
    scores = layers.Conv2D(fold * fold * points, 1, kernel_initializer=_start(seeds), name="scores", **extra)(x)
    moments = SoftArgmax(points, fold, 1, name="moments")(scores)
    return keras.Model(image, moments[..., :2], name="heatmap")


def _start(seeds: Iterator[int]) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed=next(seeds))


def _conv(x, filters, kernel, strides, seeds, name, **kw):
    return layers.Conv2D(
        filters, kernel, strides, "same", use_bias=False, kernel_initializer=_start(seeds), name=name
    )(x)


def _norm_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_norm", MOMENTUM))


def _shortcut(x, y, strides, seeds, name):
    if x.shape != y.shape:
        x = batch_norm(
            _conv(x, y.shape[-1], 1, strides, seeds, f"{name}_project"), f"{name}_project_norm", MOMENTUM
        )
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _basic(x, width, strides, seeds, name):
    y = _norm_relu(_conv(x, width, 3, strides, seeds, f"{name}_conv1"), f"{name}_1")
    y = batch_norm(_conv(y, width, 3, 1, seeds, f"{name}_conv2"), f"{name}_norm2", MOMENTUM)
    return _shortcut(x, y, strides, seeds, name)


def _bottleneck(x, width, strides, seeds, name):
    y = _norm_relu(_conv(x, width // 2, 1, 1, seeds, f"{name}_conv1"), f"{name}_1")
    y = _norm_relu(_conv(y, width // 2, 3, strides, seeds, f"{name}_conv2"), f"{name}_2")
    y = batch_norm(_conv(y, width, 1, 1, seeds, f"{name}_conv3"), f"{name}_norm3", MOMENTUM)
    return _shortcut(x, y, strides, seeds, name)


def _fused(x, width, strides, seeds, name):
    y = _norm_relu(_conv(x, width, 3, strides, seeds, f"{name}_conv1"), f"{name}_1")
    y = batch_norm(_conv(y, width, 1, 1, seeds, f"{name}_conv2"), f"{name}_norm2", MOMENTUM)
    return _shortcut(x, y, strides, seeds, name)


def _depthwise(x, width, strides, seeds, name):
    y = _norm_relu(_conv(x, width * 3, 1, 1, seeds, f"{name}_conv1"), f"{name}_1")
    y = layers.DepthwiseConv2D(
        3, strides, "same", use_bias=False, depthwise_initializer=_start(seeds), name=f"{name}_dw"
    )(y)
    y = _norm_relu(y, f"{name}_2")
    y = batch_norm(_conv(y, width, 1, 1, seeds, f"{name}_conv3"), f"{name}_norm3", MOMENTUM)
    return _shortcut(x, y, strides, seeds, name)


def multiply_adds(model: keras.Model) -> int:
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            total += int(np.prod(layer.output.shape[1:])) * int(np.prod(layer.kernel.shape[:2]))
        elif isinstance(layer, (layers.Conv2D, layers.Dense)):
            total += int(np.prod(layer.output.shape[1:-1])) * int(np.prod(layer.kernel.shape))
    return total
