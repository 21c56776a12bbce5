"""From the spread of a heatmap to how far a point is to be trusted."""

import math

import numpy as np

NEAR = 0.03  # of the crop's side: some 7 % of the distance of the outer eye corners
UNCALIBRATED = (math.log(math.pi / 4 * NEAR**2), -2.0)
FEW = 200  # points, which are not enough to calibrate on


def confidence_of(variance: np.ndarray, calibration: tuple[float, float] = UNCALIBRATED) -> np.ndarray:
    """How probable it is that points lie within NEAR of the truth, by the variance of their heatmaps; NaN stays.

    Args:
        variance: in units of the crop's side.
        calibration: of `calibrate`. Without it the spread is taken for the error that is to be expected, which
            training brings it near (`losses.spread_likelihood`), and errors to scatter like a normal vector.
    """
    with np.errstate(divide="ignore"):
        return -np.expm1(-np.exp(calibration[0] + calibration[1] * np.log(variance) / 2))


def calibrate(variance: np.ndarray, apart: np.ndarray) -> tuple[float, float]:
    """Two numbers for `confidence_of` that fit points with a truth best: a complementary log-log regression.

    Args:
        variance: any shape, in units of the crop's side.
        apart: the same shape, errors in parts of the crop's side; NaN is left out.
    """
    known = ~np.isnan(apart) & (variance > 0)
    near = (apart[known] <= NEAR).astype(float)
    if known.sum() < FEW or near.min(initial=1) == near.max(initial=0):
        return UNCALIBRATED
    z = np.log(variance[known]) / 2
    inputs, found = np.stack([np.ones_like(z), z - z.mean()], axis=1), np.array([0.0, -1.0])
    for _ in range(50):  # of Newton's method
        rate = np.exp(np.clip(inputs @ found, -20, 3))
        probable = -np.expm1(-rate)
        weight = rate**2 * (1 - probable) / probable
        slope = inputs.T @ (rate * (near - probable) / probable)
        found = found + np.linalg.solve(inputs.T @ (weight[:, None] * inputs) + 1e-6 * np.eye(2), slope)
    return float(found[0] - found[1] * z.mean()), float(found[1])


def errors_in_crops(points: np.ndarray, truth: np.ndarray, boxes: np.ndarray, crop_scale: float) -> np.ndarray:
    """Errors (N, K) of points (N, K, 2) in parts of their crops' side, `crop_scale` boxes (N, 4); NaN stays."""
    return np.linalg.norm(points - truth, axis=-1) / (crop_scale * boxes[:, 2:].max(axis=1, keepdims=True))
