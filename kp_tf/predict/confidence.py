"""The confidence in a point, and whether a detection is a face, from the variance of the heatmaps."""

import math

import numpy as np

from kp_tf.artifacts.info import ModelInfo

NEAR = 0.03  # of the crop's side: about 7 % of the inter-ocular distance
# Instead of a calibration: the standard deviation of a heatmap is taken as the expected error, which training brings it
# near (`losses.laplace_nll`), and errors as normally distributed vectors. Only comparisons of one network use it.
UNCALIBRATED = (math.log(math.pi / 4 * NEAR**2), -2.0)
NARROWEST = 1e-30  # variance: of no heatmap, but exact zeros have no logarithm
MIN_POINTS = 200  # to calibrate on
MIN_FACES = 20  # likewise: the points of one face go wrong together (`benchmarks/calibration.py`)
MIN_CONFIDENCE = 0.7  # mean of a detection, of networks without a `max_deviation`: faces of 300-W have 0.8 and more
SHARP = 1.1  # of the usual deviation: where many windows are tried, most show nothing, and none of these may pass
MARGIN = 1.35  # between the deviations of a network's own faces and the largest that a detection may have


def confidence_of(variance: np.ndarray, calibration: tuple[float, ...] | None) -> np.ndarray:
    """The probability that each point lies within NEAR of the truth.

    Args:
        variance: (…, K) of the heatmaps of K points of a face, in units of the crop's side; NaN stays NaN.
        calibration: from `calibrate`.

    Returns:
        The same shape, in [0, 1]; NaN without a calibration.
    """
    if calibration is None:
        return np.full(np.shape(variance), np.nan)
    a, *slopes = calibration
    with np.errstate(over="ignore"):
        return -np.expm1(-np.exp(a + _widths(variance)[..., : len(slopes)] @ slopes))


def _widths(variance: np.ndarray) -> np.ndarray:
    """The logarithms (…, K, 2) of each heatmap's standard deviation, and of their geometric mean in the face."""
    own = np.log(np.maximum(variance, NARROWEST)) / 2
    return np.stack(np.broadcast_arrays(own, own.mean(axis=-1, keepdims=True)), axis=-1)


def calibrate(variance: np.ndarray, errors: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, ...] | None:
    """Fit `confidence_of` to points whose truth is known, by a complementary log-log regression.

    A point of a face whose heatmaps are wide is wrong more often than a point of another face with a heatmap as wide.
    So the width of the heatmap and the mean width in the face both count (`benchmarks/calibration.py`).

    Args:
        variance: (N, K) of N faces, in units of the crop's side.
        errors: (N, K) in units of the crop's side; NaN is left out.
        weights: (N,) of the faces. Default: all alike.

    Returns:
        Three numbers for `confidence_of`, or two if the mean width would count the wrong way; None if there are too
        few faces or points, if all points are near or none is, or if the confidence would rise with the variance.
    """
    known = ~np.isnan(errors) & (variance > 0)
    if known.any(axis=1).sum() < MIN_FACES or known.sum() < MIN_POINTS:
        return None
    return fit(variance, errors, weights)


def fit(
    variance: np.ndarray, errors: np.ndarray, weights: np.ndarray | None = None, most: int = 3
) -> tuple[float, ...] | None:
    """The same from however few faces and points, with at most three numbers, or two."""
    known = ~np.isnan(errors) & (variance > 0)
    near = (errors[known] <= NEAR).astype(float)
    if near.min(initial=1) == near.max(initial=0):
        return None
    widths = _widths(variance)[known]
    shares = np.broadcast_to(1.0 if weights is None else weights[:, None], known.shape)[known]
    for count in range(most, 1, -1):
        a, *slopes = _regression(widths[:, : count - 1], near, shares / shares.mean())
        if max(slopes) < 0:
            return a, *slopes
    return None


def _regression(inputs: np.ndarray, near: np.ndarray, weights: np.ndarray) -> list[float]:
    """Intercept and slopes of a complementary log-log regression of `near` (n,) on `inputs` (n, d)."""
    mean = inputs.mean(axis=0)
    inputs = np.column_stack([np.ones(len(inputs)), inputs - mean])
    factors = np.zeros(inputs.shape[1])
    for _ in range(50):  # Newton's method
        rate = np.exp(np.clip(inputs @ factors, -20, 3))
        probable = -np.expm1(-rate)
        curvature = weights * rate**2 * (1 - probable) / probable
        slope = inputs.T @ (weights * rate * (near - probable) / probable)
        ridge = 1e-6 * np.eye(len(factors))
        factors = factors + np.linalg.solve(inputs.T @ (curvature[:, None] * inputs) + ridge, slope)
    return [float(factors[0] - factors[1:] @ mean), *map(float, factors[1:])]


def why_uncalibrated(errors: np.ndarray) -> str:
    """Why `calibrate` has no result for these errors (N, K), NaN where a point is missing."""
    known = errors[~np.isnan(errors)]
    if (faces := int((~np.isnan(errors)).any(axis=1).sum())) < MIN_FACES:
        return f"it needs {MIN_FACES} validation faces, not {faces}"
    if len(known) < MIN_POINTS:
        return f"the validation faces have {len(known)} labelled points, and {MIN_POINTS} are needed"
    if known.min() > NEAR or known.max() <= NEAR:
        share = "all" if known.max() <= NEAR else "none"
        return f"{share} of the points of the validation faces are within {NEAR:.0%}"
    return "the heatmaps of the validation faces are not wider where the errors are larger"


def mean_deviation(variance: np.ndarray) -> np.ndarray:
    """The geometric mean (N,) of the heatmaps' standard deviations, from variances (N, K)."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(variance).mean(axis=1) / 2)


def usual_deviation(variance: np.ndarray) -> float:
    """The `mean_deviation` that 95 of 100 faces with variances (N, K) do not exceed."""
    return float(np.percentile(mean_deviation(variance), 95))


def max_deviation(variance: np.ndarray, hard: np.ndarray | None = None) -> float:
    """The largest `mean_deviation` of a face, estimated from faces with variances (N, K).

    What is no face makes wide heatmaps, whether a network is calibrated or not. MARGIN was chosen on networks of 12 to
    100 photographs (docs/own_points.md). It leaves room for faces that are harder than these; where `hard` ones (n, K)
    are known, 95 of 100 of them are within the limit.
    """
    largest = MARGIN * usual_deviation(variance)
    return largest if hard is None else max(largest, usual_deviation(hard))


def are_doubtful(
    variance: np.ndarray, calibration: tuple[float, ...] | None, largest: float | np.ndarray | None = None
) -> np.ndarray:
    """Which of N detections are probably no faces, from variances (N, K).

    Args:
        variance: in units of the crop's side; NaN if the network has no heatmaps.
        calibration: from `calibrate`.
        largest: from `max_deviation`, or one for each detection (N,). Without it, a calibrated network is judged by its
            mean confidence, and of any other no detection is doubtful.
    """
    if largest is not None:
        return mean_deviation(variance) > largest
    return confidence_of(variance, calibration).mean(axis=1) < MIN_CONFIDENCE  # False for NaN


def are_sharp(info: ModelInfo, variance: np.ndarray) -> np.ndarray:
    """Which of N windows, of many that were tried, show what a network was trained on, from variances (N, K)."""
    limit = SHARP * info.usual_deviation if info.usual_deviation else info.max_deviation
    return ~are_doubtful(variance, info.calibration, limit)


def errors_in_crops(points: np.ndarray, truth: np.ndarray, boxes: np.ndarray, crop_scale: float) -> np.ndarray:
    """Errors (N, K) of points (N, K, 2) in units of their crop's side, `crop_scale` times that of the boxes (N, 4)."""
    return np.linalg.norm(points - truth, axis=-1) / (crop_scale * boxes[:, 2:].max(axis=1, keepdims=True))
