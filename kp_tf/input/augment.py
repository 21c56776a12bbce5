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

from kp_tf.input.photometric import change_pixels, normal, per_image, ramp
from kp_tf.recipes import MAX_SHRINK, Augmentation, Recipe

Tensor: TypeAlias = Any  # TensorFlow's own annotations know neither shapes nor None as an index

_OCCLUSION = 8  # columns for one rectangle
_COLUMNS = {  # of `draws`: each operation has its own, whether or not the others are on
    **{"flip": 1, "rotation": 1, "scale": 1, "shift": 2, "stretch": 1, "shear": 1},
    **{"occlusion": 2 * _OCCLUSION, "shadow": 4, "gamma": 1, "contrast": 1, "brightness": 1},
    **{"blur": 2, "low_resolution": 1, "noise": 2, "cut": 2},
}
_LATER_COLUMNS = {"first_pass": 5}  # drawn by a key of their own, so that those before stay as they were
NUM_DRAWS, _NUM_LATER = sum((_COLUMNS | _LATER_COLUMNS).values()), sum(_LATER_COLUMNS.values())


def draw(count: int, key: Tensor) -> Tensor:
    """Uniform random numbers (count, NUM_DRAWS) that follow from a key (2,) alone."""
    first = tf.random.stateless_uniform((count, NUM_DRAWS - _NUM_LATER), key)
    later = tf.random.stateless_uniform((count, _NUM_LATER), key + (0, 2**32))  # of no other epoch
    return tf.concat([first, later], axis=1)


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
        return augment(images, points, draws, settings, flip_indices, recipe.shape, extent, recipe.first_pass_scale)

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
    first_pass_scale: float = 1.0,
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
        first_pass_scale: side of the first pass's window in units of the others'.

    Returns:
        Pictures (B, h, w, C) float32 in [0, 255], and points (B, K, 2) in the unit square of the window.

    Raises:
        ValueError: if flips are requested for points without flip partners, or if the window has far fewer pixels
            than its part of the crop.
    """
    if settings.flip and flip_indices is None:
        raise ValueError(f"flips need flip_indices. Received: flip={settings.flip}, flip_indices=None")
    columns = _COLUMNS | _LATER_COLUMNS
    draw: dict[str, Tensor] = dict(zip(columns, tf.split(draws, list(columns.values()), axis=1), strict=True))
    flipped = draw["flip"] < settings.flip  # (B, 1)
    if settings.flip:
        partners = tf.gather(points_norm, flip_indices, axis=1) - (2 * settings.flip_offset * extent, 0.0)
        points_norm = tf.where(flipped[..., None], partners, points_norm)
    matrix, shift = _affine(draw, settings, flipped[:, 0], images.shape[1] / images.shape[2], first_pass_scale)
    images, points_norm = _resample(images, points_norm, matrix, shift, shape, extent)
    images = change_pixels(images, draw, settings)
    if settings.cut:
        images = _cut(images, draw["cut"], settings.cut, matrix, shift)
    return images, points_norm


def _affine(
    draw: dict[str, Tensor], settings: Augmentation, flipped: Tensor, ratio: float, first_pass_scale: float
) -> tuple[Tensor, Tensor]:
    """The affine map of flip, stretch, shear, rotation, scale and shift, in this order.

    Args:
        draw: random numbers by operation.
        settings: how strong they are.
        flipped: (B,) bool.
        ratio: H / W of the crop, whose pixels are square.
        first_pass_scale: as of `augment`.

    Returns:
        A matrix (B, 2, 2) for vectors from the crop's centre, in its unit square, and the shift after it (B, 2).
    """
    drawn = {name: normal(draw[name]) for name in ("rotation", "scale", "shift", "stretch", "shear")}
    angle = drawn["rotation"][:, 0] * math.radians(settings.rotation)
    scale = tf.exp(drawn["scale"][:, 0] * settings.scale)
    shift = drawn["shift"] * settings.shift
    if settings.first_pass:
        angle, scale, shift = _as_first_pass(draw["first_pass"], settings, first_pass_scale, angle, scale, shift)
    stretch = tf.exp(drawn["stretch"][:, 0] * settings.stretch / 2)
    shear = drawn["shear"][:, 0] * settings.shear
    sine, cosine = scale * tf.sin(angle), scale * tf.cos(angle)
    rows = [
        [cosine * stretch * tf.where(flipped, -1.0, 1.0), (cosine * shear - sine / stretch) * ratio],
        [sine * stretch * tf.where(flipped, -1.0, 1.0) / ratio, sine * shear + cosine / stretch],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1), shift


def _as_first_pass(
    draw: Tensor, settings: Augmentation, larger: float, angle: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Angle (B,), scale (B,) and shift (B, 2) of some pictures as in the first pass, of the others as they are."""
    on, scatter = draw[:, 0] < settings.first_pass, normal(draw[:, 2:])
    first_angle = math.radians(settings.first_pass_rotation) * (2 * draw[:, 1] - 1)
    first_scale = tf.exp(scatter[:, 0] * settings.first_pass_scale) / larger
    first_shift = scatter[:, 1:] * settings.first_pass_shift
    return (
        tf.where(on, first_angle, angle),
        tf.where(on, first_scale, scale),
        tf.where(on[:, None], first_shift, shift),
    )


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


def _cut(images: Tensor, draw: Tensor, probability: float, matrix: Tensor, shift: Tensor) -> Tensor:
    """Blacken one side of the window, as where a photograph ends; its edge is rotated with the picture."""
    on, side = tf.unstack(draw, axis=1)
    normals = tf.gather([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], tf.cast(4 * side, tf.int32))
    normals = tf.linalg.matvec(_inverse(matrix), normals, transpose_a=True)
    distance = ramp(normals, images.shape[1:3]) - per_image(tf.reduce_sum(normals * shift, axis=-1))
    return tf.where(distance > per_image(0.5 - 0.3 * tf.nn.relu(1 - on / probability)), 0.0, images)
