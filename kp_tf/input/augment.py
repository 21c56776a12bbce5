"""Augmentation: operations on a batch that change pixels and points together.

Uniform random numbers are passed in as `draws` (B, NUM_DRAWS), one row for each picture, so a picture is changed in
the same way whatever its batch. Every picture is resampled once, by one affine map from the stored crop to the
network's window. `window` is that map without augmentation, so training and validation see the same pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import tensorflow as tf

from kp_tf.recipes import MAX_SHRINK, Augmentation, Recipe

Tensor: TypeAlias = Any  # TensorFlow's own annotations know neither shapes nor None as an index

_OCCLUSION = 8  # columns for one rectangle
_COLUMNS = {  # of `draws`: each operation has its own, whether or not the others are on
    **{"flip": 1, "rotation": 1, "scale": 1, "shift": 2, "stretch": 1, "shear": 1},
    **{"occlusion": 2 * _OCCLUSION, "shadow": 4, "gamma": 1, "contrast": 1, "brightness": 1},
    **{"blur": 2, "low_resolution": 1, "noise": 2, "cut": 2},
}
NUM_DRAWS = sum(_COLUMNS.values())

_CLIP = 0.006  # of each tail of the normal numbers, so that none is beyond 2.5 σ
_GRAINS = 2**18  # places in the table of noise at which a picture's noise may start
_TAPS = 4  # the blur reaches this many pixels to either side


def training_transform(recipe: Recipe, flip_indices: Sequence[int] | None, strength: float = 1.0) -> Callable:
    """The recipe's augmentation as a transform for `batches.training_batches`, from stored crops to network input.

    Args:
        recipe: its augmentation, input shape and crops.
        flip_indices: of the points; None turns flips off.
        strength: of everything but the flips.

    Returns:
        A function of images, points and draws to images and points; see `augment`.
    """
    settings = recipe.augmentation.weakened(strength)
    if flip_indices is None:
        settings = replace(settings, flip=0.0)
    extent = (recipe.crop_scale or 1.0) / recipe.stored_scale

    # functions with names: in a notebook, TensorFlow warns of a lambda that it cannot tell from those beside it
    def augmented(images: Tensor, points: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        return augment(images, points, draws, settings, flip_indices, recipe.shape, extent)

    def flipped(images: Tensor, points: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        return flip(images, points, draws[:, 0] < settings.flip, flip_indices or ())

    if recipe.stored_shape:
        return augmented
    return flipped if flip_indices else unchanged_transform(recipe)  # the input itself is stored


def unchanged_transform(recipe: Recipe) -> Callable:
    """The transform of training faces without augmentation; see `training_transform`."""
    extent = (recipe.crop_scale or 1.0) / recipe.stored_scale

    def unchanged(images: Tensor, points: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        return window(images, points, recipe.shape, extent) if recipe.stored_shape else (images, points)

    return unchanged


def flip(images: Tensor, points_norm: Tensor, where: Tensor, flip_indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mirror pictures (B, H, W, C), and x and the order of their points (B, K, 2), where `where` (B,) is true."""
    where = tf.reshape(where, (-1, 1, 1))
    mirrored = tf.gather(points_norm, flip_indices, axis=1) * (-1.0, 1.0) + (1.0, 0.0)
    return tf.where(where[..., None], images[:, :, ::-1], images), tf.where(where, mirrored, points_norm)


def window(images: Tensor, points_norm: Tensor, shape: tuple[int, int], extent: float) -> tuple[Tensor, Tensor]:
    """The network's window of stored crops, without augmentation; arguments and results as of `augment`."""
    identity, no_shift = tf.eye(2, batch_shape=tf.shape(images)[:1]), tf.zeros_like(points_norm[:, 0])
    return _resample(images, points_norm, identity, no_shift, shape, extent)


def augment(
    images: Tensor,
    points_norm: Tensor,
    draws: Tensor,
    settings: Augmentation,
    flip_indices: Sequence[int] | None,
    shape: tuple[int, int],
    extent: float,
) -> tuple[Tensor, Tensor]:
    """Change every picture and its points by its own random numbers.

    Args:
        images: (B, H, W, C) float32 in [0, 255], the stored crops, of square pixels.
        points_norm: (B, K, 2) points in the unit square of the stored crops; NaN stays NaN.
        draws: (B, NUM_DRAWS) uniform in [0, 1).
        settings: which operations are on, and how strong they are.
        flip_indices: K indices of the points' flip partners; None if the points have none.
        shape: (h, w) of the network's input.
        extent: side of the unchanged window in units of the stored crop's side; they share their centre.

    Returns:
        Pictures (B, h, w, C) float32 in [0, 255], and points (B, K, 2) in the unit square of the window.

    Raises:
        ValueError: if flips are requested for points without flip partners, or if the window has far fewer pixels
            than its part of the crop.
    """
    if settings.flip and flip_indices is None:
        raise ValueError(f"flips need flip_indices. Received: flip={settings.flip}, flip_indices=None")
    parts = tf.split(draws, list(_COLUMNS.values()), axis=1)
    draw: dict[str, Tensor] = dict(zip(_COLUMNS, parts, strict=True))
    flipped = draw["flip"] < settings.flip  # (B, 1)
    if settings.flip:
        points_norm = tf.where(flipped[..., None], tf.gather(points_norm, flip_indices, axis=1), points_norm)
    matrix, shift = _affine(draw, settings, flipped[:, 0], images.shape[1] / images.shape[2])
    images, points_norm = _resample(images, points_norm, matrix, shift, shape, extent)
    images = _camera(images, draw, settings)
    if settings.cut:
        images = _cut(images, draw["cut"], settings.cut, matrix, shift)
    return images, points_norm


def _normal(uniform: Tensor) -> Tensor:
    return tf.math.ndtri(tf.clip_by_value(uniform, _CLIP, 1 - _CLIP))


def _affine(draw: dict[str, Tensor], settings: Augmentation, flipped: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """The affine map of flip, stretch, shear, rotation, scale and shift, in this order.

    Args:
        draw: random numbers by operation.
        settings: how strong they are.
        flipped: (B,) bool.
        ratio: H / W of the crop, whose pixels are square.

    Returns:
        A matrix (B, 2, 2) for vectors from the crop's centre, in its unit square, and the shift after it (B, 2).
    """
    normal = {name: _normal(draw[name]) for name in ("rotation", "scale", "shift", "stretch", "shear")}
    angle = normal["rotation"][:, 0] * math.radians(settings.rotation)
    scale = tf.exp(normal["scale"][:, 0] * settings.scale)
    stretch = tf.exp(normal["stretch"][:, 0] * settings.stretch / 2)
    shear = normal["shear"][:, 0] * settings.shear
    sine, cosine = scale * tf.sin(angle), scale * tf.cos(angle)
    rows = [
        [cosine * stretch * tf.where(flipped, -1.0, 1.0), (cosine * shear - sine / stretch) * ratio],
        [sine * stretch * tf.where(flipped, -1.0, 1.0) / ratio, sine * shear + cosine / stretch],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1), normal["shift"] * settings.shift


def _inverse(matrix: Tensor) -> Tensor:
    """The inverse of matrices (B, 2, 2); exact for the identity."""
    (a, b), (c, d) = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix, axis=1))
    rows = tf.stack([tf.stack([d, -b], axis=-1), tf.stack([-c, a], axis=-1)], axis=1)
    return rows / (a * d - b * c)[:, None, None]


def _resample(
    images: Tensor,
    points_norm: Tensor,
    matrix: Tensor,
    shift: Tensor,
    shape: tuple[int, int],
    extent: float,
) -> tuple[Tensor, Tensor]:
    """Resample crops and points: at p from its centre, the window shows the crop at extent · matrix⁻¹ · (p − shift)."""
    (height, width), (h, w) = images.shape[1:3], shape
    if extent * max(height / h, width / w) > MAX_SHRINK:
        raise ValueError(f"a window of {h} × {w} pixels is too small. Received: {height} × {width}, {extent=}")
    pixels = [[extent * width / w, extent * width / h], [extent * height / w, extent * height / h]]
    linear = _inverse(matrix) * pixels  # pixels of the window to pixels of the crop
    centre = tf.constant([(w - 1) / 2, (h - 1) / 2]) + shift * (float(w), float(h))
    offset = tf.constant([(width - 1) / 2, (height - 1) / 2]) - tf.linalg.matvec(linear, centre)
    rows = tf.reshape(tf.concat([linear, offset[..., None]], axis=-1), (-1, 6))
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(rows, [[0, 0], [0, 2]]),  # no perspective
        output_shape=shape,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    points_norm = tf.matmul((points_norm - 0.5) / extent, matrix, transpose_b=True) + shift[:, None] + 0.5
    return images, points_norm


def _ramp(direction: Tensor, shape: Sequence[int]) -> Tensor:
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


def _per_image(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1, 1)."""
    return values[:, None, None, None]


def _camera(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
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
        strength = _per_image(tf.nn.relu(1 - draw["noise"][:, 0] / settings.noise))
        images += 20 * strength * _grain(draw["noise"][:, 1], images.shape[1:3])
    return tf.clip_by_value(images, 0, 255)


def _occlude(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Cover a rotated rectangle, at most half as wide as the window, with grain or with the picture upside down."""
    on, angle, x, y, width, height, level, kind = tf.unstack(draw, axis=1)
    centre = tf.stack([x, y], axis=-1) - 0.5
    inside = _per_image(on < probability)
    for direction, size in zip(_random_axes(angle), (width, height), strict=True):
        distance = _ramp(direction, images.shape[1:3]) - _per_image(tf.reduce_sum(direction * centre, axis=-1))
        inside &= tf.abs(distance) < _per_image(0.03 + 0.22 * size)
    grain = 255 * _per_image(level) + 40 * _per_image(x) * _grain(kind, images.shape[1:3])
    return tf.where(inside, tf.where(_per_image(kind) < 0.5, grain, images[:, ::-1]), images)


def _shade(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Darken one side of a line near the centre by up to 80 %, with a soft edge."""
    on, angle, place, soft = tf.unstack(draw, axis=1)
    distance = _ramp(_random_axes(angle)[0], images.shape[1:3]) - _per_image(0.5 * place - 0.25)
    side = tf.clip_by_value(distance / _per_image(0.05 + 0.6 * soft) + 0.5, 0, 1)
    return images * (1 - side * _per_image(0.8 * tf.nn.relu(1 - on / probability)))


def _expose(images: Tensor, draw: dict[str, Tensor], settings: Augmentation) -> Tensor:
    """Change gamma, contrast about middle grey, and brightness."""
    if settings.gamma:
        power = _per_image(tf.exp(_normal(draw["gamma"][:, 0]) * settings.gamma))
        images = 255 * tf.exp(power * tf.math.log(tf.clip_by_value(images / 255, 1e-3, 1)))
    if settings.contrast:
        factor = _per_image(tf.exp(_normal(draw["contrast"][:, 0]) * settings.contrast))
        images = (images - 127.5) * factor + 127.5
    if settings.brightness:
        images += _per_image(_normal(draw["brightness"][:, 0]) * settings.brightness * 255)
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
        images = tf.add_n([_per_image(weights[:, t]) * shifted[t] for t in range(9)])
    return images


def _coarsen(images: Tensor, draw: Tensor, probability: float) -> Tensor:
    """Reduce to half or, one time in three, a quarter of the resolution, and enlarge again."""
    h, w = images.shape[1:3]
    half = tf.image.resize(images, (h // 2, w // 2))  # with half-pixel centres: the mean of 2 × 2
    quarter = tf.image.resize(half, (h // 4, w // 4))
    draw = _per_image(draw[:, 0])
    coarse = tf.where(draw < probability / 3, tf.image.resize(quarter, (h, w)), tf.image.resize(half, (h, w)))
    return tf.where(draw < probability, coarse, images)


def _grain(start: Tensor, shape: Sequence[int]) -> Tensor:
    """Normal random numbers (B, h, w, 1) from one table: a seed for each picture would need a call for each."""
    size = math.prod(shape)
    table = tf.random.stateless_normal((_GRAINS + size,), seed=(0, 0))
    index = tf.cast(start * _GRAINS, tf.int32)[:, None] + tf.range(size)
    return tf.reshape(tf.gather(table, index), (-1, *shape, 1))


def _cut(images: Tensor, draw: Tensor, probability: float, matrix: Tensor, shift: Tensor) -> Tensor:
    """Blacken one side of the window, as where a photograph ends; its edge is rotated with the picture."""
    on, side = tf.unstack(draw, axis=1)
    normals = tf.gather([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], tf.cast(4 * side, tf.int32))
    normals = tf.linalg.matvec(_inverse(matrix), normals, transpose_a=True)
    distance = _ramp(normals, images.shape[1:3]) - _per_image(tf.reduce_sum(normals * shift, axis=-1))
    return tf.where(distance > _per_image(0.5 - 0.3 * tf.nn.relu(1 - on / probability)), 0.0, images)
