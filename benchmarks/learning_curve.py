"""The error by the number of training pictures, on IMM's 58 points, beside dlib's own trainer.

    python -m benchmarks.learning_curve --data DIR --out curve

Writes IMM as dlib XML with boxes around the points: for training, the first 10, 25, 50, 100 and 192 pictures of a
random order of people 1–32; for the test, people 33–40, scored once. Each row trains `train.py --labels` with
`--init compact` and without, and dlib's shape predictor on the same files. Rows that are finished are kept, so the
command continues where it was interrupted. Writes OUT/curve.json, OUT/curve.md and OUT/curve.png.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.launch import ROOT, start_worker
from benchmarks.report import save_table
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import boxes_around_points
from kp_tf.core.keypoints import IMM58, NOSE_POINT, describe
from kp_tf.data.datasets import find_data
from kp_tf.data.dlib_xml import write_dlib_xml
from kp_tf.data.imm import read_imm
from kp_tf.data.samples import Samples
from kp_tf.data.splits import in_imm_validation
from kp_tf.evaluate import plots
from kp_tf.evaluate.metrics import face_errors, point_errors
from kp_tf.predict.samples import predict_samples

SIZES = (10, 25, 50, 100, 192)
METHODS = ("kp_tf from compact", "kp_tf from scratch", "dlib")
DLIB_OPTIONS = {"oversampling": 80, "depth": 3}  # the best of those tried


def compare(data: str | None, out: Path, sizes: list[int], methods: list[str]) -> None:
    """Train and score every method on every number of pictures that has no row yet."""
    source = find_data(data, "imm").folder("imm")
    truth = write_files(source, out / "imm", sizes)
    kept = out / "curve.json"
    rows = read_json(kept)["rows"] if kept.is_file() else []
    for size in sizes:
        for method in methods:
            if not any((row["method"], row["pictures"]) == (method, size) for row in rows):
                rows.append(_train(method, size, out / "imm", truth))
                print(json.dumps(rows[-1]), flush=True)
                write_json(kept, {"rows": rows})
    curves = {m: [(row["pictures"], row["mean_px"]) for row in rows if row["method"] == m] for m in METHODS}
    plots.learning_curve(out / "curve.png", curves, "IMM, 58 points: error by number of pictures")
    save_table(out / "curve", {"rows": rows}, _table(rows))


def write_files(source: Path, folder: Path, sizes: list[int]) -> Samples:
    """Write IMM's photographs, an XML of each size for training, the test's XML and the scheme; return the test."""
    samples = read_imm(source)
    samples = replace(samples, boxes=boxes_around_points(samples.labels), root=folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in samples.files:
        shutil.copyfile(source / file, folder / file)
    held_out = np.array([in_imm_validation(file) for file in samples.files])
    training, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    order = np.random.default_rng(0).permutation(training)
    for size in sizes:
        write_dlib_xml(folder / f"train-{size}.xml", samples.take(order[:size]))
    write_dlib_xml(folder / "test.xml", samples.take(test))
    write_json(folder / "scheme.json", describe(replace(IMM58, name="imm")))
    return samples.take(test)


def _train(method: str, size: int, folder: Path, truth: Samples) -> dict:
    """Train one method on the first `size` pictures; return its row."""
    labels, test = str(folder / f"train-{size}.xml"), str(folder / "test.xml")
    if method == "dlib":
        with start_worker("dlib") as dlib:
            answer = dlib.ask("train", labels=labels, test=test, **DLIB_OPTIONS)
        points, seconds = np.array(answer["points"], float), answer["seconds"]
    else:
        out = folder / f"{method.replace(' ', '-')}-{size}"
        command = [sys.executable, ROOT / "train.py", "--labels", labels, "--val-labels", test, "--out", out]
        command += ["--scheme", folder / "scheme.json"]
        if (out / "config.json").is_file():
            command += ["--resume"]
        elif method == "kp_tf from compact":
            command += ["--init", "compact"]
        subprocess.run(command, check=True)
        info, network = load_network(out)
        # the XML, like a user's own, has whole pixels
        points = predict_samples(network, replace(truth, boxes=truth.boxes.round()), info)[..., :2]
        seconds = sum(info.metrics["seconds_per_epoch"])
    return {
        "method": method,
        "pictures": size,
        "mean_px": float(face_errors(points, truth.labels).mean()),
        "nose_px": float(point_errors(points, truth.labels)[:, NOSE_POINT].mean()),
        "seconds": seconds,
    }


def _table(rows: list[dict]) -> list[str]:
    lines = ["| pictures | " + " | ".join(METHODS) + " |", "|---" * (1 + len(METHODS)) + "|"]
    cells = {
        (row["pictures"], row["method"]): "{mean_px:.2f} px, nose {nose_px:.2f} px, {seconds:.0f} s".format(**row)
        for row in rows
    }
    for size in sorted({row["pictures"] for row in rows}):
        lines.append(f"| {size} | " + " | ".join(cells.get((size, method), "–") for method in METHODS) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Learning curve on IMM, beside dlib's trainer.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("curve"))
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    parser.add_argument("--methods", metavar="METHOD", nargs="+", choices=METHODS, default=METHODS)
    return exit_status("benchmarks.learning_curve:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
