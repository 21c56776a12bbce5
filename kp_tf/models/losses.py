"""Losses on points in the unit square. Points that are NaN in the ground truth are ignored. `keras` alone."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor

ops: Any = keras.ops  # annotated for all backends at once

MIN_DEVIATION = 0.5  # pixels: no heatmap counts as sharper than this


def wing(prediction: KerasTensor, truth: KerasTensor, w: float, epsilon: float, pixels: float) -> KerasTensor:
    """Wing loss (Feng et al., Wing Loss for Robust Facial Landmark Localisation, 2018): logarithmic near 0.

    Args:
        prediction: (B, K, 2) in the unit square.
        truth: (B, K, 2) likewise; NaN where a point is missing.
        w: in pixels; larger errors count linearly, smaller ones by their logarithm.
        epsilon: in pixels; the smaller it is, the more weight small errors have.
        pixels: side of the network's input.

    Returns:
        () mean over the coordinates that are present; 0 if none is.
    """
    present = ops.logical_not(ops.isnan(truth))
    # NaN is replaced before the arithmetic: multiplied by 0 afterwards, its gradient would still be NaN
    error = pixels * ops.abs(prediction - ops.where(present, truth, 0.0))
    offset = w - w * math.log1p(w / epsilon)  # the two branches meet at w
    return _mean_where(present, ops.where(error < w, w * ops.log1p(error / epsilon), error - offset))


def laplace_nll(prediction: KerasTensor, truth: KerasTensor, pixels: float) -> KerasTensor:
    """Negative log-likelihood of the errors under Laplace distributions as wide as the heatmaps: log s + error / s.

    It is smallest if s, the standard deviation of a heatmap, is the expected error of its point (Kendall and Gal, What
    Uncertainties Do We Need in Bayesian Deep Learning, 2017). It trains the deviations alone: no gradient flows into
    the points.

    Args:
        prediction: (B, K, 3) of a model from `heatmap.with_variance`.
        truth: (B, K, 2) in the unit square; NaN where a point is missing.
        pixels: side of the network's input.

    Returns:
        () mean over the points that are present; 0 if none is.
    """
    present = ops.logical_not(ops.isnan(truth[..., :1]))
    difference = ops.where(present, prediction[..., :2] - truth, 0.0)
    error = ops.stop_gradient(pixels * ops.norm(difference, axis=-1, keepdims=True))
    deviation = ops.sqrt(pixels**2 * prediction[..., 2:] + MIN_DEVIATION**2)
    return _mean_where(present, ops.log(deviation) + error / deviation)


def heatmap_loss(
    w: float, epsilon: float, pixels: float, variance_weight: float, teacher_weight: float = 0.0
) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """Build the loss of a model from `heatmap.with_variance`: `wing` + `variance_weight` · `laplace_nll`.

    Args:
        w: see `wing`.
        epsilon: see `wing`.
        pixels: side of the network's input.
        variance_weight: of `laplace_nll`.
        teacher_weight: if the truth is (B, 2 K, 2), its second half are the points of a teacher, and this is their
            share of the wing loss.

    Returns:
        A function of truth and prediction (B, K, 3) for `model.compile`.
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
    """Build the metric NME: each face's mean Euclidean error divided by its inter-ocular distance, in square windows.

    Points that are missing in the truth are left out. A face without both eyes counts as 0.

    Args:
        eyes: indices of the two points whose distance is the inter-ocular distance.

    Returns:
        A function of truth and prediction to (B,), for `model.compile`.
    """

    def nme(truth: KerasTensor, prediction: KerasTensor) -> KerasTensor:
        truth = truth[:, : prediction.shape[1]]  # the rest, if any, is a teacher's
        present = ops.logical_not(ops.any(ops.isnan(truth), axis=-1))
        known = ops.where(present[..., None], truth, 0.0)
        error = ops.where(present, ops.norm(prediction[..., :2] - known, axis=-1), 0.0)
        eye_distance = ops.norm(known[:, eyes[0]] - known[:, eyes[1]], axis=-1)
        usable = ops.logical_and(present[:, eyes[0]], present[:, eyes[1]])
        count = ops.sum(ops.cast(present, error.dtype), axis=-1)
        return ops.where(usable, ops.sum(error, axis=-1) / ops.maximum(count, 1.0) / eye_distance, 0.0)

    return nme
