"""Losses on points in the unit square. Points that are NaN in the ground truth are ignored. `keras` alone."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras

ops: Any = keras.ops  # annotated for all backends at once
Tensor: TypeAlias = Any  # so are its tensors

MIN_DEVIATION = 0.5  # pixels: no heatmap counts as sharper than this


def wing(prediction: Tensor, truth: Tensor, w: float, epsilon: float, pixels: float) -> Tensor:
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


def laplace_nll(prediction: Tensor, truth: Tensor, pixels: float) -> Tensor:
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


@keras.saving.register_keras_serializable("kp_tf")
class WingLoss(keras.losses.Loss):
    """`wing` for `model.compile`, of truth and prediction (B, K, 2) in the unit square; missing points are NaN."""

    def __init__(self, w: float = 10.0, epsilon: float = 2.0, pixels: float = 128.0, **kwargs: Any) -> None:
        """`w`, `epsilon` and `pixels` as of `wing`; `kwargs` as of `keras.losses.Loss`."""
        super().__init__(**kwargs)
        self.w, self.epsilon, self.pixels = w, epsilon, pixels

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return wing(y_pred, y_true, self.w, self.epsilon, self.pixels)

    def get_config(self) -> dict:
        return {**super().get_config(), "w": self.w, "epsilon": self.epsilon, "pixels": self.pixels}


@keras.saving.register_keras_serializable("kp_tf")
class HeatmapLoss(WingLoss):
    """The loss of a model from `heatmap.with_variance`: `wing` + `variance_weight` · `laplace_nll`.

    The prediction is (B, K, 3). The truth is (B, K, 2); if it is (B, 2 K, 2), its second half are the points of a
    teacher.
    """

    def __init__(
        self,
        w: float = 10.0,
        epsilon: float = 2.0,
        pixels: float = 128.0,
        variance_weight: float = 1.0,
        teacher_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Set the weights of the parts.

        Args:
            w: see `wing`.
            epsilon: see `wing`.
            pixels: side of the network's input.
            variance_weight: of `laplace_nll`.
            teacher_weight: share of the teacher's points in the wing loss.
            **kwargs: of `keras.losses.Loss`.
        """
        super().__init__(w, epsilon, pixels, **kwargs)
        self.variance_weight, self.teacher_weight = variance_weight, teacher_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        points, count = y_pred[..., :2], y_pred.shape[1]
        taught, truth = y_true[:, count:], y_true[:, :count]
        value = super().call(truth, points)
        if taught.shape[1]:
            value = (1 - self.teacher_weight) * value + self.teacher_weight * super().call(taught, points)
        return value + self.variance_weight * laplace_nll(y_pred, truth, self.pixels)

    def get_config(self) -> dict:
        weights = {"variance_weight": self.variance_weight, "teacher_weight": self.teacher_weight}
        return {**super().get_config(), **weights}


def _mean_where(present: Tensor, values: Tensor) -> Tensor:
    weight = ops.cast(present, values.dtype)
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), 1.0)


@keras.saving.register_keras_serializable("kp_tf")
class NME(keras.metrics.MeanMetricWrapper):
    """The metric NME for `model.compile`: the mean of `nme` over the faces."""

    def __init__(self, eyes: Sequence[int], name: str = "nme", dtype: Any = None) -> None:
        """`eyes` as of `nme`; `name` and `dtype` as of `keras.metrics.Metric`."""
        super().__init__(nme, name=name, dtype=dtype, eyes=tuple(eyes))
        self.eyes = tuple(eyes)

    def get_config(self) -> dict:
        return {"name": self.name, "dtype": self.dtype, "eyes": self.eyes}


def nme(truth: Tensor, prediction: Tensor, eyes: tuple[int, int]) -> Tensor:
    """Each face's mean Euclidean error divided by its inter-ocular distance, in square windows.

    Args:
        truth: (B, K, 2) in the unit square; points that are NaN are left out, and points after the K-th, a teacher's.
        prediction: (B, K, 2) likewise, or (B, K, 3).
        eyes: indices of the two points whose distance is the inter-ocular distance.

    Returns:
        (B,); 0 for a face without both eyes.
    """
    truth = truth[:, : prediction.shape[1]]
    present = ops.logical_not(ops.any(ops.isnan(truth), axis=-1))
    known = ops.where(present[..., None], truth, 0.0)
    error = ops.where(present, ops.norm(prediction[..., :2] - known, axis=-1), 0.0)
    eye_distance = ops.norm(known[:, eyes[0]] - known[:, eyes[1]], axis=-1)
    usable = ops.logical_and(present[:, eyes[0]], present[:, eyes[1]])
    count = ops.sum(ops.cast(present, error.dtype), axis=-1)
    return ops.where(usable, ops.sum(error, axis=-1) / ops.maximum(count, 1.0) / eye_distance, 0.0)
