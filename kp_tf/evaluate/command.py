"""How good a network is on labelled photographs: numbers, the CED plot and the worst faces."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from kp_tf.artifacts.weights import choose_run
from kp_tf.backends.inference import load_network, predict_outputs
from kp_tf.backends.precision import resolve
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import overlaps
from kp_tf.core.keypoints import IMM58, NOSE
from kp_tf.data.datasets import held_out_faces, read_imm_as
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.samples import Records
from kp_tf.evaluate import figures, metrics
from kp_tf.evaluate.report import draw_faces, face_scores, ordered
from kp_tf.predict.confidence import NEAR, confidence_of, errors_in_crops
from kp_tf.predict.predictor import Predictor

SHOWN = 12  # faces in a picture
OVERLAP = 0.3  # intersection over union from which a found box is that of a face
ENDINGS = (".tflite", ".onnx")  # of exported files


def evaluate(
    labels: Path,
    run: str | None = None,
    split: str = "all",
    json: Path | None = None,
    flips: bool = False,
    found: bool = False,
    precision: str = "float32",
) -> dict:
    """Score a network on labelled faces, all or those kept for validation; print a table.

    Args:
        labels: dlib's XML with boxes and the network's points, its files beside it; or IMM's folder.
        run: see `weights.choose_run`; or a file of `export`.
        split: `validation` takes the photographs that no training on this data has seen, `all` every face.
        flips: take the mean of each face's prediction and its mirror image's.
        found: find the faces instead of taking the given boxes; a face that is not found has no error.
        json: where to write the numbers; the CED plot, the twelve worst faces, twelve that are evenly spaced from
            the best to the worst, and how far confidence tells the error go beside it, as PNG.
        precision: see `precision.resolve`.

    Returns:
        `metrics.summary` with what was evaluated.

    Raises:
        KpError: if there is no such run, or the XML or a photograph is bad, or no face is left.
    """
    exported = run is not None and Path(run).suffix in ENDINGS
    if exported or found:
        if flips:
            raise KpError("--flips: expected a run or packed file and given boxes, found --found or an export")
        predictor = Predictor.load(run if exported else choose_run(run).path)
    chosen = predictor.run if exported else choose_run(run)
    scheme, dataset = chosen.scheme, "imm" if labels.is_dir() else "ibug"
    own = chosen.config["part"] is None
    if dataset == "imm" and scheme not in (NOSE, IMM58):
        raise KpError(f"--labels {labels}: expected a network of IMM's points, found {scheme.name}, {chosen.path}")
    records = read_imm_as(labels, scheme) if dataset == "imm" else read_dlib_xml(labels, scheme, partial=own)
    if split == "validation":
        if own:
            names = read_json(chosen.path / "split.json")["validation"]
            held_out = np.isin(records.files, names)
        else:
            held_out = np.logical_and(*held_out_faces(records, dataset))
        if not held_out.any():
            raise KpError(f"{labels}: expected photographs of the validation split, found none")
        records = records.take(np.flatnonzero(held_out))
    if exported or found:
        predicted, confidence = _through_predictor(predictor, records, given=not found and dataset != "imm")
        finds = ~np.isnan(predicted[:, 0, 0])
        if not finds.any():
            raise KpError(f"{labels}: expected faces that can be found, found none of {len(finds)}")
        records, predicted, confidence = records.take(np.flatnonzero(finds)), predicted[finds], confidence[finds]
    else:
        outputs = predict_outputs(load_network(chosen, precision), records, chosen, dataset == "imm", flips)
        predicted, confidence = outputs[..., :2], confidence_of(outputs[..., 2], chosen.calibration)
    summary = metrics.summary(predicted, records.points, records.scheme, records.files)
    about = {"network": str(chosen.path), "labels": str(labels), "split": split, "precision": resolve(precision)}
    summary = {**about, **summary}
    if found:
        summary["found"] = {"faces": int(finds.sum()), "of": len(finds)}
        print(f"Found {finds.sum()} of {len(finds)} faces; the others have no part in the numbers.")
    print(f"{chosen.path} on {len(records)} faces of {labels}, split {split}")
    print(metrics.table(summary))
    if json is not None:
        write_json(json, summary)
        _draw(json, chosen.path.name.removesuffix(".npz"), predicted, records)
        if dataset != "imm" and not np.isnan(confidence).any():
            apart = errors_in_crops(predicted, records.points, records.boxes, chosen.recipe.crop_scale)
            title = f"{chosen.path.stem}: what confidence says of {apart.size:,} points"
            figures.calibration(json.with_name(f"{json.stem}-confidence.png"), confidence, apart, NEAR, title)
    return summary


def _through_predictor(predictor: Predictor, records: Records, given: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, K, 2) and confidence (N, K) of the faces at the given boxes, or of those found that overlap them
    most; NaN where none does."""
    points = np.full(records.points.shape, np.nan)
    confidence = np.full(records.points.shape[:2], np.nan)
    images = [records.root / file for file in records.files]
    answers = predictor.predict_batch(images, records.boxes[:, None] if given else None)
    for index, faces in enumerate(tqdm(answers, total=len(images), unit=" faces", leave=False, disable=None)):
        shares = overlaps(np.array([face.box for face in faces]).reshape(-1, 4), records.boxes[index])
        if len(faces) and shares.max() >= OVERLAP:
            best = faces[shares.argmax()]
            points[index], confidence[index] = best.points, best.confidence
    return points, confidence


def _draw(json: Path, name: str, predicted: np.ndarray, records: Records) -> None:
    errors, is_nme = face_scores(records, predicted)
    if is_nme:
        figures.ced_plot(json.with_name(f"{json.stem}-ced.png"), {name: errors}, f"{name}: cumulative error")
    order = ordered(errors)
    worst = order[::-1][:SHOWN]
    title = f"{name}: the {len(worst)} worst of {len(errors)} faces"
    draw_faces(json.with_name(f"{json.stem}-worst.png"), records, predicted, worst, 0, title)
    spaced = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]
    title = f"{name}: {len(spaced)} of {len(errors)} faces, evenly spaced in the order of their errors"
    draw_faces(json.with_name(f"{json.stem}-faces.png"), records, predicted, spaced, None, title)
