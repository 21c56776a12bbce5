"""Augmentation: operations on a batch that change pixels and points together.

Uniform random numbers are passed in as `draws` (B, NUM_DRAWS), one row for each picture, so a picture is changed in
the same way whatever its batch. Every picture is resampled once, by one affine map from the stored crop to the
network's window. `window` is that map without augmentation, so training and validation see the same pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import keras
import numpy as np

from kp_tf.input.photometric import change_pixels, normal, per_image, ramp
from kp_tf.recipes import MAX_SHRINK, Augmentation, Recipe

ops: Any = keras.ops  # annotated for all backends at once
Tensor: TypeAlias = Any  # so are its tensors

_OCCLUSION = 8  # columns for one rectangle
_COLUMNS = {  # of `draws`: each operation has its own, whether or not the others are on
    **{"flip": 1, "rotation": 1, "scale": 1, "shift": 2, "stretch": 1, "shear": 1},
    **{"occlusion": 2 * _OCCLUSION, "shadow": 4, "gamma": 1, "contrast": 1, "brightness": 1},
    **{"blur": 2, "low_resolution": 1, "noise": 2, "cut": 2},
}
_LATER_COLUMNS = {
    "first_pass": 5
}  # `batches.draw` has a key of their own for them, so that those before stay as they were
NUM_DRAWS, NUM_LATER = sum((_COLUMNS | _LATER_COLUMNS).values()), sum(_LATER_COLUMNS.values())
_SIDES = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)  # normals of a window's sides


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
    where = ops.reshape(where, (-1, 1, 1))
    mirrored = _pair(1, 0) + ops.take(points_norm, flip_indices, axis=1) * _pair(-1, 1)
    return ops.where(where[..., None], images[:, :, ::-1], images), ops.where(where, mirrored, points_norm)


def window(images: Tensor, points_norm: Tensor, shape: tuple[int, int], extent: float) -> tuple[Tensor, Tensor]:
    """The network's window of stored crops, without augmentation; arguments and results as of `augment`."""
    count = ops.shape(images)[0]
    identity, no_shift = ops.broadcast_to(ops.eye(2), (count, 2, 2)), ops.zeros((count, 2))
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
    ends = np.cumsum(list(columns.values()))
    draw: dict[str, Tensor] = dict(zip(columns, ops.split(draws, ends[:-1].tolist(), axis=1), strict=True))
    flipped = draw["flip"] < settings.flip  # (B, 1)
    if settings.flip:
        partners = ops.take(points_norm, flip_indices, axis=1) - _pair(2 * settings.flip_offset * extent, 0)
        points_norm = ops.where(flipped[..., None], partners, points_norm)
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
    scale = ops.exp(drawn["scale"][:, 0] * settings.scale)
    shift = drawn["shift"] * settings.shift
    if settings.first_pass:
        angle, scale, shift = _as_first_pass(draw["first_pass"], settings, first_pass_scale, angle, scale, shift)
    stretch = ops.exp(drawn["stretch"][:, 0] * settings.stretch / 2)
    shear = drawn["shear"][:, 0] * settings.shear
    sine, cosine = scale * ops.sin(angle), scale * ops.cos(angle)
    rows = [
        [cosine * stretch * ops.where(flipped, -1.0, 1.0), (cosine * shear - sine / stretch) * ratio],
        [sine * stretch * ops.where(flipped, -1.0, 1.0) / ratio, sine * shear + cosine / stretch],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1), shift


def _as_first_pass(
    draw: Tensor, settings: Augmentation, larger: float, angle: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Angle (B,), scale (B,) and shift (B, 2) of some pictures as in the first pass, of the others as they are."""
    on, scatter = draw[:, 0] < settings.first_pass, normal(draw[:, 2:])
    first_angle = math.radians(settings.first_pass_rotation) * (2 * draw[:, 1] - 1)
    first_scale = ops.exp(scatter[:, 0] * settings.first_pass_scale) / larger
    first_shift = scatter[:, 1:] * settings.first_pass_shift
    return (
        ops.where(on, first_angle, angle),
        ops.where(on, first_scale, scale),
        ops.where(on[:, None], first_shift, shift),
    )


def _inverse(matrix: Tensor) -> Tensor:
    """The inverse of matrices (B, 2, 2); exact for the identity."""
    (a, b), (c, d) = (ops.unstack(row, axis=-1) for row in ops.unstack(matrix, axis=1))
    rows = ops.stack([ops.stack([d, -b], axis=-1), ops.stack([-c, a], axis=-1)], axis=1)
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
    pixels = np.outer((width, height), (1 / w, 1 / h)) * extent
    linear = _inverse(matrix) * pixels.astype(np.float32)  # pixels of the window to pixels of the crop
    centre = _pair((w - 1) / 2, (h - 1) / 2) + shift * _pair(w, h)
    offset = _pair((width - 1) / 2, (height - 1) / 2) - _product(linear, centre)
    images = _sampled(images, linear, offset, shape)
    points_norm = ops.matmul((points_norm - 0.5) / extent, ops.transpose(matrix, (0, 2, 1))) + shift[:, None] + 0.5
    return images, points_norm


def _sampled(images: Tensor, linear: Tensor, offset: Tensor, shape: tuple[int, int]) -> Tensor:
    """Pictures (B, H, W, C) at linear (B, 2, 2) · p + offset (B, 2) for each pixel p of (h, w): bilinear, 0 outside."""
    if keras.backend.backend() == "tensorflow":  # by its own kernel, several times as fast on a processor
        from tensorflow import raw_ops

        rows = ops.reshape(ops.concatenate([linear, offset[..., None]], axis=-1), (-1, 6))
        return raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=ops.pad(rows, [[0, 0], [0, 2]]),  # no perspective
            output_shape=shape,
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
    (height, width), (h, w) = images.shape[1:3], shape
    y, x = np.meshgrid(np.arange(h, dtype=np.float32), np.arange(w, dtype=np.float32), indexing="ij")
    places = np.stack([x, y], axis=-1).reshape(1, -1, 2)
    places = ops.matmul(places, ops.transpose(linear, (0, 2, 1))) + offset[:, None]
    # in a black frame of one pixel, of which the clipping leaves a thousandth of the pixel beside it
    places = ops.clip(places + 1, 0, _pair(width + 0.999, height + 0.999))
    corner = ops.floor(places)
    right, down = ops.unstack((places - corner)[..., None], axis=2)  # (B, h w, 1)
    padded = ops.reshape(ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), (len(images), -1, images.shape[-1]))
    index = ops.cast(corner[..., 1] * (width + 2) + corner[..., 0], "int32")[..., None]

    def pixel(step: int) -> Tensor:
        return ops.take_along_axis(padded, index + step, axis=1)

    upper = (1 - right) * pixel(0) + right * pixel(1)
    lower = (1 - right) * pixel(width + 2) + right * pixel(width + 3)
    return ops.reshape((1 - down) * upper + down * lower, (len(images), h, w, images.shape[-1]))


def _pair(x: float, y: float) -> np.ndarray:
    return np.array([x, y], np.float32)


def _product(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Matrices (B, 2, 2) times vectors (B, 2)."""
    return ops.sum(matrix * vectors[:, None], axis=-1)


def _cut(images: Tensor, draw: Tensor, probability: float, matrix: Tensor, shift: Tensor) -> Tensor:
    """Blacken one side of the window, as where a photograph ends; its edge is rotated with the picture."""
    on, side = ops.unstack(draw, axis=1)
    normals = ops.take(_SIDES, ops.cast(4 * side, "int32"), axis=0)
    normals = _product(ops.transpose(_inverse(matrix), (0, 2, 1)), normals)
    distance = ramp(normals, images.shape[1:3]) - per_image(ops.sum(normals * shift, axis=-1))
    return ops.where(distance > per_image(0.5 - 0.3 * ops.relu(1 - on / probability)), 0.0, images)
