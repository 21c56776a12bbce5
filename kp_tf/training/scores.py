"""How good a trained network is on the validation faces, compared with always predicting the mean shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.geometry import crop_windows, to_pixels, to_unit
from kp_tf.data.samples import Samples, points_to_stored, points_to_upright
from kp_tf.evaluate import metrics
from kp_tf.predict.confidence import errors_in_crops, usual_deviation
from kp_tf.predict.samples import predict_samples
from kp_tf.training.calibration import Seen, added_scores, calibration, largest_deviation
from kp_tf.training.faces import Faces

MIN_FACES = 50  # from which the deviation of the heatmaps on faces is estimated

# the six pictures of each person of IMM
IMM_CONDITIONS = {
    "1": "frontal, neutral",
    "2": "frontal, happy",
    "3": "turned to their right",
    "4": "turned to their left",
    "5": "frontal, spot light",
    "6": "as they liked",
}


@dataclass(frozen=True)
class Scores:
    """Predictions on the validation faces and their scores.

    Attributes:
        predicted: (N, K, 2) in pixels of the photographs as stored.
        mean_shape: (N, K, 2) likewise, of always predicting the mean shape of the training.
        report: numbers for metrics.json.
    """

    predicted: np.ndarray
    mean_shape: np.ndarray
    report: dict


def score(
    network: Network, info: ModelInfo, training: Faces, validation: Faces, added: Mapping[str, Samples] | None = None
) -> Scores:
    """Predict the validation faces and compare with their labels.

    Args:
        network: that was trained.
        info: its description.
        training: the faces it was trained on.
        validation: those that the scores are of.
        added: further ones by name. Each has scores of its own, and all join the calibration of the confidence, where
            they count as much as the others together.
    """
    samples, recipe = validation.samples, info.recipe
    outputs = predict_samples(network, samples, info, framed=info.framing is not None)
    orientations = samples.orientations()
    predicted = points_to_upright(outputs[..., :2], orientations)
    average = _mean_shape(info, training.upright, validation.upright)
    report = _errors(predicted, average, validation.upright)
    usual = None
    if recipe.has_heatmaps and recipe.crop_scale and not info.framing:
        usual = _with_training(network, info, training.samples, outputs[..., 2])
        report["usual_deviation"] = round(usual_deviation(usual), 6)
        # the further faces are tried at other rotations where it says so
        info = replace(info, metrics={**info.metrics, "usual_deviation": report["usual_deviation"]})
    further = {
        name: Seen.of(more, predict_samples(network, more, info), recipe.crop_scale)
        for name, more in (added or {}).items()
    }
    if recipe.has_heatmaps and recipe.crop_scale:
        boxes = validation.upright.boxes
        boxes = info.framing.boxes_around(predicted, boxes) if info.framing else boxes
        errors = errors_in_crops(predicted, validation.upright.labels, boxes, recipe.crop_scale)
        report |= calibration(outputs[..., 2], errors, further)
        if usual is not None:
            report["max_deviation"] = largest_deviation(usual, further)
    if further:
        numbers = report.get("calibration")
        report["added_validation"] = {name: added_scores(seen, numbers) for name, seen in further.items()}
    if recipe.takes_whole_photographs:
        errors = by_condition(samples, metrics.face_errors(predicted, validation.upright.labels))
        report["val_mean_error_px_by_condition"] = {name: round(float(e.mean()), 3) for name, e in errors.items()}
    return Scores(outputs[..., :2], points_to_stored(average, orientations), report)


def _with_training(network: Network, info: ModelInfo, training: Samples, variance: np.ndarray) -> np.ndarray:
    """The variance (N, K) of the validation faces and, if they are few, of some faces for training."""
    few = min(len(training), max(0, MIN_FACES - len(variance)))
    if not few:
        return variance
    chosen = training.take(np.linspace(0, len(training) - 1, few).round().astype(int))
    return np.concatenate([variance, predict_samples(network, chosen, info)[..., 2]])


def by_condition(samples: Samples, errors: np.ndarray) -> dict[str, np.ndarray]:
    """Errors (N,) of IMM's faces, by pose and expression."""
    keys = np.array([file.split("-")[1][0] for file in samples.files])
    return {name: errors[keys == key] for key, name in IMM_CONDITIONS.items() if (keys == key).any()}


def _mean_shape(info: ModelInfo, training: Samples, validation: Samples) -> np.ndarray:
    """The mean shape of the training's windows in those of the validation: (N, K, 2) in upright pixels."""
    if info.framing:
        return info.framing.points_in(validation.boxes)
    scale = info.recipe.crop_scale
    shape = metrics.mean_shape(to_unit(training.labels, crop_windows(training.boxes, scale)))
    windows = crop_windows(validation.boxes, scale)
    return to_pixels(np.repeat(shape[None], len(validation), axis=0), windows)


def _errors(predicted: np.ndarray, average: np.ndarray, samples: Samples) -> dict:
    truth, eyes = samples.labels, samples.scheme.eyes
    errors = {
        "val_mae_px": metrics.mean_absolute_error(predicted, truth),
        "val_mean_error_px": np.nanmean(metrics.face_errors(predicted, truth)),
        "mean_shape_error_px": np.nanmean(metrics.face_errors(average, truth)),
    }
    if len(samples.scheme) > 1:  # a single point moved onto the truth has no error
        errors["val_aligned_error_px"] = np.nanmean(metrics.aligned_error(predicted, truth))
        errors["mean_shape_aligned_error_px"] = np.nanmean(metrics.aligned_error(average, truth))
    if eyes and not np.isnan(metrics.eye_distances(truth, eyes)).all():
        errors["val_nme"] = np.nanmean(metrics.nme(predicted, truth, eyes))
        errors["mean_shape_nme"] = np.nanmean(metrics.nme(average, truth, eyes))
    return {name: round(float(value), 6) for name, value in errors.items()}
