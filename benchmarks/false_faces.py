"""Whether networks of one's own tell false detections from faces, by the limit of their heatmaps' deviation.

    python -m benchmarks.false_faces --data DIR --photographs FOLDER --out false-faces

Trains `train.py --labels XML --init compact` on the first N photographs of a random order of IMM's people 1–32, with
all 58 points or three of them. Networks that are finished are kept. Compares the deviation on faces, which should be
below the network's limit, with that on other boxes, which should be above it:

- people 33–40 of IMM, as dlib detects them, and validation faces of 300-W;
- false detections of dlib with a low threshold in the photographs of FOLDER (default: 300-W's), and random boxes there
  that hold no face. A box holds no face if `compact` is not confident in it and no box that holds one overlaps it.

Writes OUT/false-faces.json and OUT/false-faces.md.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.launch import ROOT
from benchmarks.learning_curve import write_files
from benchmarks.report import save_table
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.core.files import write_json
from kp_tf.core.geometry import overlaps
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import IbugDataset, find_data
from kp_tf.data.samples import Samples
from kp_tf.predict.confidence import are_doubtful, mean_deviation
from kp_tf.predict.detectors import Detector, NamedDetector, find_detector
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.samples import predict_samples

NETWORKS = ("3,12,40", "58,12,40", "3,25,40", "58,25,40", "3,100,15")  # points, photographs, epochs
THREE_POINTS = ("13", "21", "52")  # of IMM's: a corner of each eye, and the nose
THRESHOLD = -0.6  # of dlib's detector, which finds far more than faces
NO_FACE, IS_FACE = 0.45, 0.7  # mean confidence of `compact` below which a box holds no face, and above which it does
NUM_PHOTOGRAPHS, NUM_FACES, NUM_RANDOM = 160, 120, 3  # NUM_RANDOM boxes in each photograph
SUFFIXES = (".jpg", ".jpeg", ".png")


def compare(data: str | None, photographs: Path | None, out: Path, networks: list[str], count: int) -> None:
    """Train the networks that are not there yet, and measure all of them on the same boxes."""
    kinds = [tuple(map(int, network.split(","))) for network in networks]
    ibug = IbugDataset(find_data(data, "ibug").folder("ibug")).read_split().validation
    test = write_files(find_data(data, "imm").folder("imm"), out / "imm", sorted({size for _, size, _ in kinds}))
    write_json(out / "imm" / "three.json", {"names": THREE_POINTS})
    files = _evenly(_photographs(photographs) if photographs else _paths(ibug), count)
    loose = NamedDetector("dlib", THRESHOLD)
    false, random = boxes_without_faces(files, Predictor.load("compact"), np.random.default_rng(0), loose)
    imm = {file: find_detector("dlib")(open_photograph(file).upright) for file in _paths(test)}
    sets = {"IMM": _samples(imm), "300-W": ibug.take(range(min(NUM_FACES, len(ibug))))}
    sets |= {"false detections": _samples(false), "random boxes": _samples(random)}
    rows = [{"network": _name(*kind), **_measure(_train(out / "imm", *kind), sets)} for kind in kinds]
    save_table(out / "false-faces", {"rows": rows}, _table(rows, {name: len(boxes) for name, boxes in sets.items()}))


def boxes_without_faces(
    files: list[Path], judge: Predictor, rng: np.random.Generator, detect: Detector
) -> tuple[dict[Path, np.ndarray], dict[Path, np.ndarray]]:
    """False detections and random boxes, (n, 4) for each photograph, that hold no face.

    Args:
        files: photographs.
        judge: whose mean confidence says which boxes hold a face.
        rng: draws the random boxes, squares of 60 to 160 pixels.
        detect: makes false detections.
    """
    false, random = {}, {}
    for file in files:
        picture = open_photograph(file).upright
        found = detect(picture)
        sides = rng.uniform(60, 160, NUM_RANDOM)
        corners = rng.uniform(0, np.maximum(np.array(picture.size) - sides[:, None], 1))
        drawn = np.column_stack([corners, sides, sides])
        boxes = np.concatenate([found, drawn])
        confidence = np.array([face.confidence.mean() for face in judge.predict(picture, boxes=boxes)])
        faces = boxes[confidence >= IS_FACE]
        clear = [not len(faces) or overlaps(faces, box).max() < 0.05 for box in boxes]
        empty = (confidence < NO_FACE) & np.array(clear, bool)
        false[file], random[file] = found[empty[: len(found)]], drawn[empty[len(found) :]]
    return false, random


def _train(folder: Path, points: int, photographs: int, epochs: int) -> Path:
    """Train a network unless it is there; return its run directory."""
    run = folder.parent / f"{points}-{photographs}-{epochs}"
    if not (run / "metrics.json").is_file():
        labels = ["--labels", folder / f"train-{photographs}.xml", "--init", "compact", "--epochs", str(epochs)]
        scheme = ["--scheme", folder / "three.json"] if points == len(THREE_POINTS) else []
        command = [sys.executable, ROOT / "train.py", *labels, *scheme, "--out", run]
        subprocess.run([*command, *(["--resume"] if (run / "config.json").is_file() else [])], check=True)
    return run


def _measure(run: Path, sets: dict[str, Samples]) -> dict:
    """The network's limit and, for each set of boxes, the extreme deviations and how many boxes are discarded."""
    info, network = load_network(run)
    row: dict = {"limit": info.max_deviation}
    for name, samples in sets.items():
        if len(samples):
            variance = predict_samples(network, samples, info)[..., 2]
            deviation, discarded = mean_deviation(variance), are_doubtful(variance, None, info.max_deviation)
            row[name] = [float(deviation.min()), float(deviation.max()), int(discarded.sum())]
    return row


def _table(rows: list[dict], sizes: dict[str, int]) -> list[str]:
    names = [
        f"{name} ({size}): {'largest' if name in ('IMM', '300-W') else 'smallest'}" for name, size in sizes.items()
    ]
    lines = [f"| network | limit | {', discarded | '.join(names)}, discarded |", "|---" * (2 + len(names)) + "|"]
    for row in rows:
        cells = [row["network"], f"{100 * row['limit']:.1f}"]
        for name in sizes:
            low, high, discarded = row.get(name, (np.nan, np.nan, 0))
            cells.append(f"{100 * (high if name in ('IMM', '300-W') else low):.1f}, {discarded}")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", "Deviations in per cent of the crop's side."]


def _name(points: int, photographs: int, epochs: int) -> str:
    return f"{points} points, {photographs} photographs, {epochs} epochs"


def _photographs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _paths(samples: Samples) -> list[Path]:
    return [samples.root / file for file in dict.fromkeys(samples.files)]


def _evenly(files: list[Path], count: int) -> list[Path]:
    return [files[k] for k in np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)]


def _samples(boxes: dict[Path, np.ndarray]) -> Samples:
    """Boxes of photographs as samples without labels."""
    files = tuple(str(file.absolute()) for file, each in boxes.items() for _ in each)
    return Samples(Path("/"), files, np.concatenate(list(boxes.values())), None, IBUG68, files)


def main() -> int:
    parser = argparse.ArgumentParser(description="Deviations of the heatmaps on faces and on false detections.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--photographs", metavar="FOLDER", type=Path, help="with false detections (default: 300-W's)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("false-faces"))
    parser.add_argument("--networks", metavar="POINTS,PHOTOGRAPHS,EPOCHS", nargs="+", default=NETWORKS)
    parser.add_argument("--count", metavar="N", type=int, default=NUM_PHOTOGRAPHS, help="photographs of FOLDER")
    return exit_status("benchmarks.false_faces:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
