"""Augmentation of the pixels alone: what happens between a face and its file."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import keras
import numpy as np

from kp_tf.recipes import Augmentation

ops: Any = keras.ops  # annotated for all backends at once
Tensor: TypeAlias = Any  # so are its tensors

_CLIP = 0.006  # of each tail of the normal numbers, so that none is beyond 2.5 σ
_GRAINS = 2**18  # places in the table of noise at which a picture's noise may start
_TAPS = 4  # the blur reaches this many pixels to either side


def normal(uniform: Tensor) -> Tensor:
    """Normal random numbers from uniform ones."""
    return math.sqrt(2) * ops.erfinv(2 * ops.clip(uniform, _CLIP, 1 - _CLIP) - 1)


def ramp(direction: Tensor, shape: Sequence[int]) -> Tensor:
    """Each pixel's distance (B, h, w, 1) from the centre along a direction (B, 2), in units of the window."""
    h, w = shape
    x = (ops.arange(w, dtype="float32") + 0.5) / w - 0.5
    y = (ops.arange(h, dtype="float32") + 0.5) / h - 0.5
    x, y = direction[:, :1] * x, direction[:, 1:] * y
    return (y[:, :, None] + x[:, None, :])[..., None]


def _random_axes(uniform: Tensor) -> tuple[Tensor, Tensor]:
    """A random direction (B, 2) and the one perpendicular to it, from random numbers (B,)."""
    x, y = ops.cos(2 * math.pi * uniform), ops.sin(2 * math.pi * uniform)
    return ops.stack([x, y], axis=-1), ops.stack([-y, x], axis=-1)


def per_image(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1, 1)."""
    return values[:, None, None, None]


def change_pixels(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
    """What happens between the face and the file: occlusion, shadow, exposure, blur, low resolution and noise."""
    if settings.occlusion:
        for part in ops.split(draw["occlusion"], 2, axis=1):
            images = _occlude(images, part, settings.occlusion)
    if settings.shadow:
        images = _shade(images, draw["shadow"], settings.shadow)
    images = _expose(images, draw, settings)
    if settings.blur:
        images = _blur(images, draw["blur"], settings.blur)
    if settings.low_resolution:
        images = _coarsen(images, draw["low_resolution"], settings.low_resolution)
    if settings.noise:
        strength = per_image(ops.relu(1 - draw["noise"][:, 0] / settings.noise))
        images += 20 * strength * _grain(draw["noise"][:, 1], images.shape[1:3])
    return ops.clip(images, 0, 255)


def _occlude(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Cover a rotated rectangle, at most half as wide as the window, with grain or with the picture upside down."""
    on, angle, x, y, width, height, level, kind = ops.unstack(draw, axis=1)
    centre = ops.stack([x, y], axis=-1) - 0.5
    inside = per_image(on < probability)
    for direction, size in zip(_random_axes(angle), (width, height), strict=True):
        distance = ramp(direction, images.shape[1:3]) - per_image(ops.sum(direction * centre, axis=-1))
        inside &= ops.abs(distance) < per_image(0.03 + 0.22 * size)
    grain = 255 * per_image(level) + 40 * per_image(x) * _grain(kind, images.shape[1:3])
    return ops.where(inside, ops.where(per_image(kind) < 0.5, grain, images[:, ::-1]), images)


def _shade(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Darken one side of a line near the centre by up to 80 %, with a soft edge."""
    on, angle, place, soft = ops.unstack(draw, axis=1)
    distance = ramp(_random_axes(angle)[0], images.shape[1:3]) - per_image(0.5 * place - 0.25)
    side = ops.clip(distance / per_image(0.05 + 0.6 * soft) + 0.5, 0, 1)
    return images * (1 - side * per_image(0.8 * ops.relu(1 - on / probability)))


def _expose(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
    """Change gamma, contrast about middle grey, and brightness."""
    if settings.gamma:
        power = per_image(ops.exp(normal(draw["gamma"][:, 0]) * settings.gamma))
        images = 255 * ops.exp(power * ops.log(ops.clip(images / 255, 1e-3, 1)))
    if settings.contrast:
        factor = per_image(ops.exp(normal(draw["contrast"][:, 0]) * settings.contrast))
        images = (images - 127.5) * factor + 127.5
    if settings.brightness:
        images += per_image(normal(draw["brightness"][:, 0]) * settings.brightness * 255)
    return ops.clip(images, 0, 255)


def _blur(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Blur by a Gaussian of σ up to 2 pixels, less along one axis, as if out of focus or in motion."""
    sigma = 2 * ops.relu(1 - draw[:, :1] / probability)  # (B, 1)
    sides = draw[:, 1:] * np.array([2, -2], np.float32) + np.array([0, 2], np.float32)
    taps = ops.arange(-_TAPS, _TAPS + 1, dtype="float32")
    for axis, part in ((1, 0), (2, 1)):
        width = sigma * ops.minimum(sides[:, part : part + 1], 1) + 1e-3  # of 1e-3, the picture stays as it is
        weights = ops.softmax(-0.5 * (taps / width) ** 2)  # (B, taps)
        padding = [[_TAPS, _TAPS] if axis == a else [0, 0] for a in range(4)]
        padded, size = ops.pad(images, padding, "symmetric"), images.shape[axis]
        shifted = [padded[:, t : t + size] if axis == 1 else padded[:, :, t : t + size] for t in range(2 * _TAPS + 1)]
        images = sum(per_image(weights[:, t]) * shifted[t] for t in range(2 * _TAPS + 1))
    return images


def _coarsen(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Reduce to half or, one time in three, a quarter of the resolution, and enlarge again."""
    h, w = images.shape[1:3]
    half = ops.image.resize(images, (h // 2, w // 2))  # with half-pixel centres: the mean of 2 × 2
    quarter = ops.image.resize(half, (h // 4, w // 4))
    draw = per_image(draw[:, 0])
    coarse = ops.where(draw < probability / 3, ops.image.resize(quarter, (h, w)), ops.image.resize(half, (h, w)))
    return ops.where(draw < probability, coarse, images)


def _grain(start: Tensor, shape: Sequence[int]) -> Tensor:
    """Normal random numbers (B, h, w, 1) from one table: a seed for each picture would need a call for each."""
    size = math.prod(shape)
    index = ops.cast(start * _GRAINS, "int32")[:, None] + ops.arange(size)
    return ops.reshape(ops.take(_table(_GRAINS + size), index), (-1, *shape, 1))


@cache
def _table(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size, np.float32)
