"""The calibration of a trained network's confidence, and its scores on further validation faces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kp_tf.data.samples import Samples
from kp_tf.evaluate import metrics
from kp_tf.predict.confidence import NEAR, calibrate, confidence_of, errors_in_crops, max_deviation, why_uncalibrated

FAILURE = 0.10  # NME from which a face counts as a failure


@dataclass(frozen=True)
class Seen:
    """N faces that a network has predicted.

    Attributes:
        samples: with labels.
        outputs: (N, K, 3) of `predict_samples`.
        errors: (N, K) in units of the crop's side; NaN where a label is missing.
    """

    samples: Samples
    outputs: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, samples: Samples, outputs: np.ndarray, crop_scale: float | None) -> "Seen":
        """Faces with boxes of their own."""
        errors = errors_in_crops(outputs[..., :2], samples.labels, samples.boxes, crop_scale or 1.0)
        return cls(samples, outputs, errors)

    @property
    def variance(self) -> np.ndarray:
        """(N, K) of the heatmaps, in units of the crop's side."""
        return self.outputs[..., 2]


def calibration(variance: np.ndarray, errors: np.ndarray, added: Mapping[str, Seen]) -> dict:
    """What metrics.json says of the confidence.

    The added faces together count as much as the validation faces, however many there are of each. If faces counted
    alike, few hard ones among many easy ones would change little, and the confidence in hard faces would be too high.

    Args:
        variance: (N, K) of the validation faces, in units of the crop's side.
        errors: (N, K) likewise.
        added: further faces by name.
    """
    sides = [variance, *(seen.variance for seen in added.values())], [errors, *(seen.errors for seen in added.values())]
    variances, distances = map(np.concatenate, sides)
    own = np.arange(len(distances)) < len(errors)
    points = np.where(own, *(max(1, np.isfinite(distances[side]).sum()) for side in (own, ~own)))
    numbers = calibrate(variances, distances, 1 / points)
    return {"calibration": numbers} | ({} if numbers else {"uncalibrated": why_uncalibrated(distances)})


def largest_deviation(variance: np.ndarray, added: Mapping[str, Seen]) -> float:
    """`max_deviation` of usual faces (N, K), with room for the added ones."""
    hard = np.concatenate([seen.variance for seen in added.values()]) if added else None
    return round(max_deviation(variance, hard), 6)


def added_scores(seen: Seen, numbers: tuple[float, ...] | None) -> dict:
    """The scores of further validation faces: NME and the share of failures of those whose eyes are labelled, and the
    mean confidence beside the share of the points that are near."""
    labels, eyes, predicted = seen.samples.labels, seen.samples.scheme.eyes, seen.outputs[..., :2]
    scores: dict[str, Any] = {"mean_error_px": np.nanmean(metrics.face_errors(predicted, labels))}
    if eyes and not np.isnan(nme := metrics.nme(predicted, labels, eyes)).all():
        nme = nme[~np.isnan(nme)]
        scores |= {"nme": nme.mean(), "over_10": np.mean(nme > FAILURE)}
    if numbers:
        known = np.isfinite(seen.errors)
        sure = confidence_of(seen.variance, numbers)[known]
        scores |= {"confidence": sure.mean(), "near": np.mean(seen.errors[known] <= NEAR)}
    return {"faces": len(labels)} | {name: round(float(value), 6) for name, value in scores.items()}
