"""The confidence in a point, from the variance of its heatmap."""

import math

import numpy as np

NEAR = 0.03  # of the crop's side: about 7 % of the inter-ocular distance
UNCALIBRATED = (math.log(math.pi / 4 * NEAR**2), -2.0)
MIN_POINTS = 200  # to calibrate on


def confidence_of(variance: np.ndarray, calibration: tuple[float, float] | None) -> np.ndarray:
    """The probability that each point lies within NEAR of the truth.

    Args:
        variance: any shape, of the points' heatmaps, in units of the crop's side; NaN stays NaN.
        calibration: from `calibrate`. Without it, the standard deviation of the heatmap is taken as the expected
            error, which training brings it near (`losses.laplace_nll`), and errors as normally distributed vectors.

    Returns:
        The same shape, in [0, 1].
    """
    a, b = calibration or UNCALIBRATED
    with np.errstate(divide="ignore"):
        return -np.expm1(-np.exp(a + b * np.log(variance) / 2))


def is_calibrated(calibration: tuple[float, float] | None) -> bool:
    """Whether the two numbers were fitted; versions before 0.2 stored the default ones where nothing was."""
    return calibration not in (None, UNCALIBRATED)


def calibrate(variance: np.ndarray, errors: np.ndarray) -> tuple[float, float] | None:
    """Fit `confidence_of` to points whose truth is known, by a complementary log-log regression.

    Args:
        variance: any shape, in units of the crop's side.
        errors: the same shape, in units of the crop's side; NaN is left out.

    Returns:
        Two numbers for `confidence_of`; None if there are too few points, or if all are near or none is.
    """
    known = ~np.isnan(errors) & (variance > 0)
    near = (errors[known] <= NEAR).astype(float)
    if known.sum() < MIN_POINTS or near.min(initial=1) == near.max(initial=0):
        return None
    z = np.log(variance[known]) / 2
    inputs, fit = np.stack([np.ones_like(z), z - z.mean()], axis=1), np.array([0.0, -1.0])
    for _ in range(50):  # Newton's method
        rate = np.exp(np.clip(inputs @ fit, -20, 3))
        probable = -np.expm1(-rate)
        weight = rate**2 * (1 - probable) / probable
        slope = inputs.T @ (rate * (near - probable) / probable)
        fit = fit + np.linalg.solve(inputs.T @ (weight[:, None] * inputs) + 1e-6 * np.eye(2), slope)
    return float(fit[0] - fit[1] * z.mean()), float(fit[1])


def errors_in_crops(points: np.ndarray, truth: np.ndarray, boxes: np.ndarray, crop_scale: float) -> np.ndarray:
    """Errors (N, K) of points (N, K, 2) in units of their crop's side, `crop_scale` times that of the boxes (N, 4)."""
    return np.linalg.norm(points - truth, axis=-1) / (crop_scale * boxes[:, 2:].max(axis=1, keepdims=True))
