"""Losses on points in the unit square; a point of the truth that is NaN has no say. `keras` alone."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor

ops: Any = keras.ops  # annotated for all backends at once

FINEST = 0.5  # pixels: no heatmap counts as sharper


def wing(prediction: KerasTensor, truth: KerasTensor, w: float, epsilon: float, pixels: float) -> KerasTensor:
    """Wing loss (Feng et al., Wing Loss for Robust Facial Landmark Localisation, 2018), a logarithm near 0.

    Args:
        prediction, truth: (B, K, 2) in the unit square.
        w: errors above it, in pixels, count linearly.
        epsilon: errors below it, in pixels, count nearly linearly; in between small errors count for more.
        pixels: side of the network's input.

    Returns:
        () mean over the coordinates that are there; 0 when none is.
    """
    present = ops.logical_not(ops.isnan(truth))
    # the gradient of a NaN that is multiplied by 0 afterwards would be NaN
    error = pixels * ops.abs(prediction - ops.where(present, truth, 0.0))
    offset = w - w * math.log1p(w / epsilon)  # makes the two parts meet at w
    return _mean_where(present, ops.where(error < w, w * ops.log1p(error / epsilon), error - offset))


def laplace_nll(prediction: KerasTensor, truth: KerasTensor, pixels: float) -> KerasTensor:
    """() mean over the points that are there of log s + error / s, s being the standard deviation of a heatmap.

    It is least where s is the error that is to be expected: the negative logarithm of a Laplace distribution's
    likelihood (Kendall and Gal, What Uncertainties Do We Need in Bayesian Deep Learning, 2017). It moves the
    spread alone; the error is taken as it is.

    Args:
        prediction: (B, K, 3) of a model from `heatmap.with_variance`.
        truth: (B, K, 2) in the unit square.
        pixels: side of the network's input.
    """
    present = ops.logical_not(ops.isnan(truth[..., :1]))
    apart = ops.where(present, prediction[..., :2] - truth, 0.0)
    error = ops.stop_gradient(pixels * ops.norm(apart, axis=-1, keepdims=True))
    deviation = ops.sqrt(pixels**2 * prediction[..., 2:] + FINEST**2)
    return _mean_where(present, ops.log(deviation) + error / deviation)


def heatmap_loss(
    w: float, epsilon: float, pixels: float, variance_weight: float, teacher_weight: float = 0.0
) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """`wing` + `variance_weight` · `laplace_nll` of a model from `heatmap.with_variance`, for `model.compile`.

    If the truth is (B, 2 K, 2), its second half are a teacher's points, and `teacher_weight` is the share of the wing
    loss that follows them.
    """

    def loss(truth: KerasTensor, prediction: KerasTensor) -> KerasTensor:
        points, count = prediction[..., :2], prediction.shape[1]
        taught, truth = truth[:, count:], truth[:, :count]
        value = wing(points, truth, w, epsilon, pixels)
        if taught.shape[1]:
            value = (1 - teacher_weight) * value + teacher_weight * wing(points, taught, w, epsilon, pixels)
        return value + variance_weight * laplace_nll(prediction, truth, pixels)

    return loss


def _mean_where(present: KerasTensor, values: KerasTensor) -> KerasTensor:
    weight = ops.cast(present, values.dtype)
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), 1.0)


def nme(eyes: tuple[int, int]) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """A metric of square windows: each face's mean Euclidean error over the distance of its eye pair, (B,).

    Points that are missing in the truth are left out; a face without its eyes, or without any point, counts 0.
    """

    def nme(truth: KerasTensor, prediction: KerasTensor) -> KerasTensor:
        truth = truth[:, : prediction.shape[1]]  # a teacher's points may follow
        present = ops.logical_not(ops.any(ops.isnan(truth), axis=-1))
        known = ops.where(present[..., None], truth, 0.0)
        error = ops.where(present, ops.norm(prediction[..., :2] - known, axis=-1), 0.0)
        eye_distance = ops.norm(known[:, eyes[0]] - known[:, eyes[1]], axis=-1)
        usable = ops.logical_and(present[:, eyes[0]], present[:, eyes[1]])
        count = ops.sum(ops.cast(present, error.dtype), axis=-1)
        return ops.where(usable, ops.sum(error, axis=-1) / ops.maximum(count, 1.0) / eye_distance, 0.0)

    return nme
