"""From photographs to landmarks without boxes: the faces found and their errors, a missed face counting as a failure.

    python -m benchmarks.end_to_end --data DIR --run compact --run large --out end_to_end

Each network with each detector, beside dlib's detector and 68 points, and MediaPipe's FaceMesh (whose points are other
ones, mapped to 68). On the validation parts of 300-W, infants and hard faces, and on all infants and hard faces. Every
picture shows a face and its surroundings. Writes OUT.json and OUT.md.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.face_sets import FaceSet, read_set
from benchmarks.hard_faces import FAILURE, with_interval
from benchmarks.interleave import interleave, quartiles
from benchmarks.launch import start_worker
from benchmarks.report import OUTER_EYES, processor, save_table
from benchmarks.workers.protocol import Worker
from kp_tf.cli import exit_status
from kp_tf.evaluate import metrics
from kp_tf.predict.detectors import MODULES

SETS = ("300-W", "infanface", "wflw")
OTHERS = {  # by label: worker and its settings
    "dlib's detector and 68 points": ("dlib", {"upsampling": 1}),
    "MediaPipe FaceMesh": ("mediapipe", {}),
}


def compare(data: Path, runs: list[str], detectors: list[str], out: Path, limit: int = 0, others: bool = True) -> None:
    """Measure all combinations; write OUT.json and OUT.md."""
    faces = {name: read_set(data, name).limited(limit or None) for name in SETS}
    workers = {label: start_worker(name, **settings) for label, (name, settings) in OTHERS.items() if others}
    for detector in detectors:
        for run in runs:
            settings = {"network": _absolute(run), "detector": detector}
            workers[f"{detector} + {run}"] = start_worker("predictor", None, "detectors", **settings)
    files = [one.samples.root / file for one in faces.values() for file in one.samples.files]
    sides = {label: partial(_find, worker) for label, worker in workers.items()}
    answers = interleave(sides, tqdm(files, unit=" pictures", disable=None))
    for worker in workers.values():
        worker.close()
    table = {}
    for label, found in answers.items():
        row, start = {}, 0
        for name, one in faces.items():
            nme = errors(one, [answer["points"] for answer in found[start : start + len(one)]])
            start += len(one)
            row[name] = scores(nme, one.units)
            if not one.held_out.all():
                row[f"{name}, validation"] = scores(nme[one.held_out], one.units[one.held_out])
        table[label] = row | {"ms": quartiles([1000 * answer["seconds"] for answer in found], 1)}
    result = {"data": str(data), "device": processor(), "tools": table}
    save_table(out, result, _table(result))


def _absolute(run: str) -> str:
    return str(Path(run).resolve()) if Path(run).exists() else run


def _find(worker: Worker, file: Path) -> dict:
    return worker.ask("find", file=str(file.resolve()))


def errors(faces: FaceSet, found: list[list]) -> np.ndarray:
    """The NME (N,) of the labelled faces, infinite where none of the faces found has the middle of its points there.

    Args:
        faces: N faces, one in each picture.
        found: for each the points (n, 68, 2) of the faces that were found in its picture.
    """
    nme = np.full(len(faces), np.inf)
    for k, (box, points) in enumerate(zip(faces.samples.boxes, found, strict=True)):
        points = np.array(points, float).reshape(-1, 68, 2)
        offsets = points.mean(axis=1) - box[:2] - box[2:] / 2
        there = np.flatnonzero((np.abs(offsets) <= box[2:] / 2).all(axis=1))
        if len(there):
            nearest = there[np.linalg.norm(offsets[there], axis=1).argmin()]
            nme[k] = metrics.nme(points[nearest][None], faces.samples.labels[k][None], OUTER_EYES)[0]
    return nme


def scores(nme: np.ndarray, units: np.ndarray) -> dict:
    """The faces found, the mean NME of these, and of all faces failures, AUC and the median NME, None if it is
    infinite; from NME (N,)."""
    found = np.isfinite(nme)
    return {
        "faces": len(nme),
        "found": int(found.sum()),
        "nme_of_found": with_interval(nme[found], units[found]) if found.any() else None,
        "median": float(median) if np.isfinite(median := np.median(nme)) else None,
        "failures": with_interval((nme > FAILURE).astype(float), units),
        "auc": float(np.mean(np.maximum(FAILURE - nme, 0)) / FAILURE),
    }


def _table(result: dict) -> list[str]:
    columns = [name for name in next(iter(result["tools"].values())) if name != "ms"]
    first = next(iter(result["tools"].values()))
    lines = ["| | " + " | ".join(f"{name}, {first[name]['faces']}" for name in columns) + " | a picture, ms |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for label, row in result["tools"].items():
        cells = " | ".join(_cell(row[name]) for name in columns)
        lines.append(f"| {label} | {cells} | {'{} ({}–{})'.format(*row['ms'])} |")
    note = (
        "Found; share of all faces over 10 % or not found (95 % interval); median NME of all; mean NME of the found; "
        "AUC up to 10 % of all. Times: from the file to the points, median and quartiles, in turns, {}."
    )
    return [*lines, "", note.format(result["device"])]


def _cell(row: dict) -> str:
    value, low, high = (100 * number for number in row["failures"])
    mean, median = (row["nme_of_found"] or [None])[0], row["median"]
    mean, median = ("–" if number is None else f"{100 * number:.2f}" for number in (mean, median))
    failures = f"{value:.1f} % ({low:.1f}–{high:.1f})"
    return f"{row['found']}; {failures}; {median}; {mean}; {100 * row['auc']:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare tools from photographs to landmarks.")
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    add("--run", metavar="RUN", dest="runs", action="append", required=True, help="what Predictor.load takes")
    add("--detectors", nargs="+", choices=MODULES, default=list(MODULES), metavar="NAME", help="default: all")
    add("--limit", metavar="N", type=int, default=0, help="faces of a set (default: all)")
    add("--no-others", dest="others", action="store_false", help="leave out dlib's points and MediaPipe")
    add("--out", metavar="NAME", type=Path, default=Path("end_to_end"), help="without a suffix")
    return exit_status("benchmarks.end_to_end:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
