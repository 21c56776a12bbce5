"""The pictures that this project's detector learns from, for `kp-tf train-detector --pictures OUT`.

    python -m benchmarks.agreement --photographs DIR/more_faces/wflwphotos --out agreement.json
    python -m benchmarks.detector_faces --data DIR --agreement agreement.json --out pictures.json

Holds 300-W, IMM and `more_faces`, without what is held out for validation. A labelled face has its box and its angle
from the mean face, fitted to its points. In whole photographs, a face is one that both detectors found; what one of
them found alone is ignored.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.face_sets import LABELLED, MORE_FACES, FaceSet, read_set
from benchmarks.held_out import is_held_out, shows_held_out
from kp_tf.cli import exit_status
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import overlaps
from kp_tf.core.mean_face import MeanFace
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.data.splits import in_imm_validation

# of the drawn faces, the share of each set; whether its pictures show one face alone
SETS = {
    "300-W": (0.34, False),
    "imm": (0.04, True),
    "infanface": (0.18, True),
    "wflw": (0.12, False),
    "dlibfaces": (0.02, False),
    "synth100": (0.05, True),
    "fgnet": (0.11, True),
    "ytfaces": (0.09, False),
    "aaf": (0.05, True),
}
PHOTOGRAPHS = "wflwphotos"
SAME = 0.3  # intersection over union of CenterFace's box and BlazeFace's from which both mean the same face
SURE = 0.3  # CenterFace's score from which a face that both found is learned
SMALLEST = 8.0  # pixels of the side of a place that is ignored
EYES, NOSE, MOUTH = (slice(36, 42), slice(42, 48)), 30, (48, 54)  # of the 68 points


def write_list(data: Path, agreement: Path, out: Path) -> None:
    """Write OUT."""
    ibug = IbugDataset(data / FOLDERS["ibug"]).read_split()
    mean = _mean(ibug.training.boxes, ibug.training.labels)
    few = _mean(ibug.training.boxes, anchors(ibug.training.labels))
    labelled = [
        FaceSet("300-W", ibug.training, np.zeros(len(ibug.training), bool), np.array([])),
        read_set(data, "300-W"),
    ]
    labelled += [read_set(data, name) for name in LABELLED]
    parts: dict[str, list[dict]] = {"training": [], "validation": []}
    for faces in labelled:
        for part, chosen in (("training", ~faces.held_out), ("validation", faces.held_out)):
            parts[part] += _entries(faces.samples.take(np.flatnonzero(chosen)), mean, faces.name)
    parts["training"] += _imm_entries(data, few)
    hard = read_set(data, "wflw").samples.files
    for name, found in read_json(agreement).items():
        held_out = is_held_out(f"{PHOTOGRAPHS}/{name}")
        if held_out or not shows_held_out(name, hard):
            file = (data / MORE_FACES / PHOTOGRAPHS / name).resolve()
            parts["validation" if held_out else "training"].append(_photograph(file, found, few))
    write_json(out, {"root": "/", **parts})
    for part, entries in parts.items():
        print(f"{part}: {len(entries)} pictures, {sum(len(entry['faces']) for entry in entries)} faces")


def anchors(points: np.ndarray) -> np.ndarray:
    """Of 68 points (N, 68, 2): the middles of both eyes, the tip of the nose and the middle of the mouth (N, 4, 2)."""
    eyes = [points[:, eye].mean(axis=1) for eye in EYES]
    return np.stack([*eyes, points[:, NOSE], points[:, MOUTH].mean(axis=1)], axis=1)


def _mean(boxes: np.ndarray, points: np.ndarray) -> MeanFace:
    return MeanFace.from_faces(boxes, boxes, points)


def fitted(points: np.ndarray, mean: MeanFace) -> np.ndarray:
    """Centre, side and angle (N, 4), as `training.detector.targets.Boxes` has them, of faces with points (N, K, 2)."""
    extent = np.nanmax(np.nanmax(points, axis=1) - np.nanmin(points, axis=1), axis=1)
    frames = np.column_stack([np.zeros((len(points), 2)), extent, extent])  # their width is the unit of scale
    boxes = mean.rotated_boxes_around(points, frames)
    side = boxes[:, 2:4].max(axis=1)
    return np.column_stack([boxes[:, :2] + boxes[:, 2:4] / 2, side, boxes[:, 4]])


def _entries(samples: Samples, mean: MeanFace, name: str) -> list[dict]:
    share, alone = SETS[name]
    samples = samples.upright(samples.orientations())
    faces = fitted(samples.labels, mean)
    files = [(samples.root / file).resolve() for file in samples.files]
    return [
        _entry(file, [face], [], alone, share / len(files), name, box)
        for file, face, box in zip(files, faces, samples.boxes, strict=True)
    ]


def _imm_entries(data: Path, few: MeanFace) -> list[dict]:
    """IMM's people 1–32. Their points are others: the eyes are 13–20 and 21–28, the mouth 39–46, the nose's tip 52."""
    samples = read_imm(data / FOLDERS["imm"])
    samples = samples.take([k for k, file in enumerate(samples.files) if not in_imm_validation(file)])
    points, parts = samples.labels, (slice(13, 21), slice(21, 29), slice(39, 47))
    eye, other, mouth = (points[:, part].mean(axis=1) for part in parts)
    left_first = (eye[:, :1] < other[:, :1])[:, None]
    eyes = np.where(left_first, np.stack([eye, other], axis=1), np.stack([other, eye], axis=1))
    faces = fitted(np.concatenate([eyes, points[:, 52:53], mouth[:, None]], axis=1), few)
    share, alone = SETS["imm"]
    return [
        _entry((samples.root / file).resolve(), [face], [], alone, share / len(faces), "imm")
        for file, face in zip(samples.files, faces, strict=True)
    ]


def _photograph(file: Path, found: dict, few: MeanFace) -> dict:
    """A whole photograph, with the faces that both detectors found."""
    centerface, blazeface = found["centerface"], found["blazeface"]
    others = np.array([face["box"] for face in blazeface], np.float64).reshape(-1, 4)
    faces, ignored, matched = [], [], np.zeros(len(others), bool)
    for face in centerface:
        box = np.array(face["box"])
        same = overlaps(others, box) > SAME
        matched |= same
        if same.any() and face["score"] >= SURE:
            points = np.array(face["points"])
            faces.append(fitted(np.concatenate([points[:3], points[3:].mean(axis=0, keepdims=True)])[None], few)[0])
        else:
            ignored.append(_place(box))
    ignored += [_place(box) for box in others[~matched]]
    return _entry(file, faces, ignored, True, 0.0, PHOTOGRAPHS)


def _place(box: np.ndarray) -> list[float]:
    return [*(box[:2] + box[2:] / 2).tolist(), max(float(max(box[2:])), SMALLEST)]


def _entry(
    file: Path,
    faces: list,
    ignored: list,
    complete: bool,
    weight: float,
    name: str,
    box: np.ndarray | None = None,
) -> dict:
    entry = {
        "file": str(file),
        "set": name,
        "faces": np.round(np.array(faces).reshape(-1, 4), 2).tolist(),
        "ignored": np.round(np.array(ignored).reshape(-1, 3), 1).tolist(),
        "complete": complete,
        "weight": weight,
    }
    return entry if box is None else {**entry, "box": box.tolist()}


def main() -> int:
    parser = argparse.ArgumentParser(description="List the pictures that the detector learns from.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--agreement", metavar="FILE", type=Path, required=True, help="of benchmarks.agreement")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("pictures.json"))
    return exit_status("benchmarks.detector_faces:write_list", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
