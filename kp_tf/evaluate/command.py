"""`kp-tf evaluate`: the errors of a network on labelled photographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kp_tf.artifacts.find import find_model, say_network, source_of
from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.runs import read_split
from kp_tf.backends import EXPORTED, load_with_keras
from kp_tf.backends.precision import resolve_precision
from kp_tf.core.errors import KpError
from kp_tf.core.files import write_json
from kp_tf.core.geometry import overlaps
from kp_tf.core.keypoints import IMM58, NOSE
from kp_tf.data.datasets import ImmDataset
from kp_tf.data.formats import find_format, read_labels
from kp_tf.data.samples import Samples
from kp_tf.data.splits import in_imm_validation, in_validation, is_mirror
from kp_tf.evaluate import metrics, plots
from kp_tf.evaluate.columns import read_columns
from kp_tf.evaluate.faces import best_first, draw_selected, face_scores
from kp_tf.predict.confidence import NEAR, confidence_of, errors_in_crops
from kp_tf.predict.detectors import DEFAULT, Detector
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.samples import predict_samples

NUM_DRAWN = 12  # faces in a picture
MIN_OVERLAP = 0.3  # intersection over union from which a detected box is that of a face


@dataclass(frozen=True)
class _Predictions:
    """N faces, their indices (N,) among those read, predicted points (N, K, 2) in pixels as stored, and the confidence
    (N, K)."""

    samples: Samples
    indices: np.ndarray
    points: np.ndarray
    confidence: np.ndarray


def evaluate(
    labels: Path,
    run: str | None = None,
    split: str = "all",
    json: Path | None = None,
    flips: bool = False,
    detect: bool = False,
    precision: str = "float32",
    allow_outside: bool = False,
    by: Path | None = None,
    detector: str | Detector = DEFAULT,
) -> dict:
    """Score a network on labelled faces and print a table.

    Args:
        labels: photographs, boxes and the network's points, in one of `data.formats`.
        run: see `find_model`; or a file that `export` wrote.
        split: `all` faces, or those of the `validation` photographs, which are never used for training.
        json: the file for the scores. Pictures are written beside it: the CED plot, the twelve worst faces, twelve
            faces evenly spaced from the best to the worst, and how well confidence predicts the error.
        flips: average each prediction with that of the mirrored face.
        detect: detect the faces instead of taking their boxes; faces that are not detected are not scored.
        precision: see `resolve_precision`.
        allow_outside: take photographs outside the folder of the labels as well.
        by: a CSV whose columns divide the faces into groups with scores of their own; see `columns.read_columns`.
        detector: used with `detect`; see `detectors.find_detector`.

    Returns:
        `metrics.summary`, together with the network, labels, split and precision.

    Raises:
        KpError: if there is no such network, the labels or a photograph cannot be used, or no face is left.
    """
    is_exported = run is not None and Path(run).suffix in EXPORTED
    if flips and (is_exported or detect):
        raise KpError("--flips cannot be used with --detect or with exported files")
    predictor, info = _load(run, is_exported, detect, detector)
    say_network(info)
    samples, framed = _read_labels(labels, info, allow_outside)
    samples = _validation_of(samples, info, labels) if split == "validation" else samples
    total, columns = len(samples), read_columns(by, samples.files) if by else {}
    if predictor:
        predictions = _through_predictor(predictor, samples, take_boxes=not (detect or framed), labels=labels)
    else:
        predictions = _through_keras(info, samples, framed, flips, precision)
    precision = resolve_precision(precision) if precision == "auto" else precision
    summary: dict[str, Any] = {"network": source_of(info), "labels": str(labels)}
    summary |= {"split": split, "precision": precision}
    samples, indices = predictions.samples, predictions.indices
    columns = {name: values[indices] for name, values in columns.items()}
    summary |= metrics.summary(predictions.points, samples.labels, samples.scheme, samples.files, columns)
    if detect:
        summary["found"] = {"faces": len(samples), "of": total}
        print(f"{len(samples)} of {total} faces were detected; the others are not scored.")
    print(f"{summary['network']} on {len(samples)} faces of {labels}, split {split}")
    print(metrics.table(summary))
    if json is not None:
        _write(json, summary, info, predictions, framed)
    return summary


def _load(
    run: str | None, is_exported: bool, detect: bool, detector: str | Detector
) -> tuple[Predictor | None, ModelInfo]:
    """The predictor, if the faces go through one, and the network's description."""
    if is_exported or detect:
        predictor = Predictor.load(run if is_exported else find_model(run).path, detector)
        return predictor, predictor.info
    return None, find_model(run)


def _read_labels(labels: Path, info: ModelInfo, allow_outside: bool) -> tuple[Samples, bool]:
    """Read the labelled faces; the second value is whether their boxes are whole photographs."""
    if find_format(labels) == "imm":
        if info.scheme not in (NOSE, IMM58):
            raise KpError(f"--labels {labels}: IMM's folder needs a network of nose or imm58, not {info.scheme.name}")
        return ImmDataset(labels, info.scheme).read().checked(), True
    samples = read_labels(labels, info.scheme, partial=info.recipe.part is None, allow_outside=allow_outside)
    return samples.checked(), False


def _validation_of(samples: Samples, info: ModelInfo, labels: Path) -> Samples:
    """The faces that were held out of training."""
    if info.recipe.part is None:
        names = set(read_split(info.path).validation)
        held_out = np.array([file in names for file in samples.files])
    elif find_format(labels) == "imm":
        held_out = np.array([in_imm_validation(file) for file in samples.files])
    else:
        held_out = np.array([in_validation(file) and not is_mirror(file) for file in samples.files])
    if not held_out.any():
        raise KpError(f"{labels}: none of its photographs is in the validation split")
    return samples.take(np.flatnonzero(held_out))


def _through_keras(info: ModelInfo, samples: Samples, framed: bool, flips: bool, precision: str) -> _Predictions:
    outputs = predict_samples(load_with_keras(info, precision), samples, info, framed, flips)
    confidence = confidence_of(outputs[..., 2], info.calibration)
    return _Predictions(samples, np.arange(len(samples)), outputs[..., :2], confidence)


def _through_predictor(predictor: Predictor, samples: Samples, take_boxes: bool, labels: Path) -> _Predictions:
    """Predict through the photographs' files, as `Predictor` does.

    Each face gets the prediction whose box overlaps its own most; faces that no box overlaps are left out.
    """
    points = np.full(samples.labels.shape, np.nan)
    confidence = np.full(samples.labels.shape[:2], np.nan)
    images = [samples.root / file for file in samples.files]
    results = predictor.predict_batch(images, samples.boxes[:, None] if take_boxes else None)
    for index, faces in enumerate(tqdm(results, total=len(images), unit=" faces", leave=False, disable=None)):
        shared = overlaps(np.array([face.box for face in faces]).reshape(-1, 4), samples.boxes[index])
        if len(faces) and shared.max() >= MIN_OVERLAP:
            best = faces[shared.argmax()]
            points[index], confidence[index] = best.points, best.confidence
    known = np.flatnonzero(~np.isnan(points[:, 0, 0]))
    if not len(known):
        raise KpError(f"{labels}: none of its {len(samples)} faces was detected")
    return _Predictions(samples.take(known), known, points[known], confidence[known])


def _write(json: Path, summary: dict, info: ModelInfo, predictions: _Predictions, framed: bool) -> None:
    """Write the scores, and draw the pictures beside them."""
    write_json(json, summary)
    samples, predicted, name = predictions.samples, predictions.points, info.path.name.removesuffix(".npz")

    def beside(what: str) -> Path:
        return json.with_name(f"{json.stem}-{what}.png")

    errors, is_nme = face_scores(samples, predicted)
    if is_nme:
        plots.ced_plot(beside("ced"), {name: errors}, f"{name}: cumulative error")
    order = best_first(errors)
    worst = order[::-1][:NUM_DRAWN]
    title = f"{name}: the {len(worst)} worst of {len(errors)} faces"
    draw_selected(beside("worst"), samples, predicted, worst, 0, title)
    spaced = order[np.unique(np.linspace(0, len(order) - 1, NUM_DRAWN).round().astype(int))]
    title = f"{name}: {len(spaced)} of {len(errors)} faces, evenly spaced in the order of their errors"
    draw_selected(beside("faces"), samples, predicted, spaced, None, title)
    if info.recipe.crop_scale and not framed and not np.isnan(predictions.confidence).any():
        distances = errors_in_crops(predicted, samples.labels, samples.boxes, info.recipe.crop_scale)
        title = f"{info.name}: confidence and error of {distances.size:,} points"
        plots.calibration(beside("confidence"), predictions.confidence, distances, NEAR, title)
