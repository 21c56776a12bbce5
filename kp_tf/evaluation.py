"""How good a network is on labelled photographs: numbers, the CED plot and the worst faces."""

from pathlib import Path

import numpy as np

from kp_tf import figures, metrics
from kp_tf.errors import KpError
from kp_tf.files import read_json, write_json
from kp_tf.precision import resolve
from kp_tf.predictor import choose_run, load_model, predict_records
from kp_tf.readers.datasets import held_out_faces, read_imm_as
from kp_tf.readers.dlib_xml import read_dlib_xml
from kp_tf.readers.records import Records
from kp_tf.report import draw_faces, face_scores, ordered
from kp_tf.schemes import IMM58, NOSE

SHOWN = 12  # faces in a picture


def evaluate(
    labels: Path,
    run: str | None = None,
    split: str = "all",
    json: Path | None = None,
    flips: bool = False,
    precision: str = "float32",
) -> dict:
    """Score a network on labelled faces, all or those kept for validation; print a table.

    Args:
        labels: dlib's XML with boxes and the network's points, its files beside it; or IMM's folder.
        run: see `predictor.choose_run`.
        split: `validation` takes the photographs that no training on this data has seen, `all` every face.
        flips: take the mean of each face's prediction and its mirror image's.
        json: where to write the numbers; the CED plot, the twelve worst faces and twelve that are evenly spaced
            from the best to the worst go beside it, as PNG.
        precision: see `precision.resolve`.

    Returns:
        `metrics.summary` with what was evaluated.

    Raises:
        KpError: if there is no such run, or the XML or a photograph is bad, or no face is left.
    """
    chosen = choose_run(run)
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
    predicted = predict_records(load_model(chosen, precision), records, chosen, dataset == "imm", flips)
    summary = metrics.summary(predicted, records.points, records.scheme, records.files)
    summary = {
        "network": str(chosen.path),
        "labels": str(labels),
        "split": split,
        "precision": resolve(precision),
        **summary,
    }
    print(f"{chosen.path} on {len(records)} faces of {labels}, split {split}")
    print(metrics.table(summary))
    if json is not None:
        write_json(json, summary)
        _draw(json, chosen.path.name.removesuffix(".npz"), predicted, records)
    return summary


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
