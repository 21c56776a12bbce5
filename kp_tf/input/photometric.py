"""Augmentation of the pixels alone: what happens between a face and its file."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from kp_tf.recipes import Augmentation

Tensor: TypeAlias = Any  # as in augment.py

_CLIP = 0.006  # of each tail of the normal numbers, so that none is beyond 2.5 σ
_GRAINS = 2**18  # places in the table of noise at which a picture's noise may start
_TAPS = 4  # the blur reaches this many pixels to either side


def normal(uniform: Tensor) -> Tensor:
    return tf.math.ndtri(tf.clip_by_value(uniform, _CLIP, 1 - _CLIP))


def ramp(direction: Tensor, shape: Sequence[int]) -> Tensor:
    """Each pixel's distance (B, h, w, 1) from the centre along a direction (B, 2), in units of the window."""
    h, w = shape
    x = (tf.range(w, dtype=tf.float32) + 0.5) / w - 0.5
    y = (tf.range(h, dtype=tf.float32) + 0.5) / h - 0.5
    x, y = direction[:, :1] * x, direction[:, 1:] * y
    return (y[:, :, None] + x[:, None, :])[..., None]


def _random_axes(uniform: Tensor) -> tuple[Tensor, Tensor]:
    """A random direction (B, 2) and the one perpendicular to it, from random numbers (B,)."""
    x, y = tf.cos(2 * math.pi * uniform), tf.sin(2 * math.pi * uniform)
    return tf.stack([x, y], axis=-1), tf.stack([-y, x], axis=-1)


def per_image(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1, 1)."""
    return values[:, None, None, None]


def change_pixels(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
    """What happens between the face and the file: occlusion, shadow, exposure, blur, low resolution and noise."""
    if settings.occlusion:
        for part in tf.split(draw["occlusion"], 2, axis=1):
            images = _occlude(images, part, settings.occlusion)
    if settings.shadow:
        images = _shade(images, draw["shadow"], settings.shadow)
    images = _expose(images, draw, settings)
    if settings.blur:
        images = _blur(images, draw["blur"], settings.blur)
    if settings.low_resolution:
        images = _coarsen(images, draw["low_resolution"], settings.low_resolution)
    if settings.noise:
        strength = per_image(tf.nn.relu(1 - draw["noise"][:, 0] / settings.noise))
        images += 20 * strength * _grain(draw["noise"][:, 1], images.shape[1:3])
    return tf.clip_by_value(images, 0, 255)


def _occlude(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Cover a rotated rectangle, at most half as wide as the window, with grain or with the picture upside down."""
    on, angle, x, y, width, height, level, kind = tf.unstack(draw, axis=1)
    centre = tf.stack([x, y], axis=-1) - 0.5
    inside = per_image(on < probability)
    for direction, size in zip(_random_axes(angle), (width, height), strict=True):
        distance = ramp(direction, images.shape[1:3]) - per_image(tf.reduce_sum(direction * centre, axis=-1))
        inside &= tf.abs(distance) < per_image(0.03 + 0.22 * size)
    grain = 255 * per_image(level) + 40 * per_image(x) * _grain(kind, images.shape[1:3])
    return tf.where(inside, tf.where(per_image(kind) < 0.5, grain, images[:, ::-1]), images)


def _shade(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Darken one side of a line near the centre by up to 80 %, with a soft edge."""
    on, angle, place, soft = tf.unstack(draw, axis=1)
    distance = ramp(_random_axes(angle)[0], images.shape[1:3]) - per_image(0.5 * place - 0.25)
    side = tf.clip_by_value(distance / per_image(0.05 + 0.6 * soft) + 0.5, 0, 1)
    return images * (1 - side * per_image(0.8 * tf.nn.relu(1 - on / probability)))


def _expose(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
    """Change gamma, contrast about middle grey, and brightness."""
    if settings.gamma:
        power = per_image(tf.exp(normal(draw["gamma"][:, 0]) * settings.gamma))
        images = 255 * tf.exp(power * tf.math.log(tf.clip_by_value(images / 255, 1e-3, 1)))
    if settings.contrast:
        factor = per_image(tf.exp(normal(draw["contrast"][:, 0]) * settings.contrast))
        images = (images - 127.5) * factor + 127.5
    if settings.brightness:
        images += per_image(normal(draw["brightness"][:, 0]) * settings.brightness * 255)
    return tf.clip_by_value(images, 0, 255)


def _blur(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Blur by a Gaussian of σ up to 2 pixels, less along one axis, as if out of focus or in motion."""
    sigma = 2 * tf.nn.relu(1 - draw[:, :1] / probability)  # (B, 1)
    sides = draw[:, 1:] * [[2.0, -2.0]] + [[0.0, 2.0]]
    taps = tf.range(-_TAPS, _TAPS + 1, dtype=tf.float32)
    for axis, part in ((1, 0), (2, 1)):
        width = sigma * tf.minimum(sides[:, part : part + 1], 1) + 1e-3  # of 1e-3, the picture stays as it is
        weights = tf.nn.softmax(-0.5 * (taps / width) ** 2)  # (B, taps)
        padding = [[_TAPS, _TAPS] if axis == a else [0, 0] for a in range(4)]
        padded, size = tf.pad(images, padding, "SYMMETRIC"), images.shape[axis]
        shifted = [padded[:, t : t + size] if axis == 1 else padded[:, :, t : t + size] for t in range(9)]
        images = tf.add_n([per_image(weights[:, t]) * shifted[t] for t in range(9)])
    return images


def _coarsen(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Reduce to half or, one time in three, a quarter of the resolution, and enlarge again."""
    h, w = images.shape[1:3]
    half = tf.image.resize(images, (h // 2, w // 2))  # with half-pixel centres: the mean of 2 × 2
    quarter = tf.image.resize(half, (h // 4, w // 4))
    draw = per_image(draw[:, 0])
    coarse = tf.where(draw < probability / 3, tf.image.resize(quarter, (h, w)), tf.image.resize(half, (h, w)))
    return tf.where(draw < probability, coarse, images)


def _grain(start: Tensor, shape: Sequence[int]) -> Tensor:
    """Normal random numbers (B, h, w, 1) from one table: a seed for each picture would need a call for each."""
    size = math.prod(shape)
    table = tf.random.stateless_normal((_GRAINS + size,), seed=(0, 0))
    index = tf.cast(start * _GRAINS, tf.int32)[:, None] + tf.range(size)
    return tf.reshape(tf.gather(table, index), (-1, *shape, 1))
