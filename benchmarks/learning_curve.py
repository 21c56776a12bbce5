"""How many pictures it takes: this project beside dlib's own trainer on IMM's 58 points.

    python -m benchmarks.learning_curve --data DIR --out curve

Writes IMM as dlib XML with boxes around the points, as a marker would draw them: the first 10, 25, 50, 100 and 192
pictures of one random order of people 1–32 for training, people 33–40 for the test, scored once. Each row trains
`train.py --labels` with `--init compact` and without, and dlib's shape predictor on the same files. What is done
already is kept: the command goes on where it was stopped. Writes curve/curve.json, curve.md and curve.png.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.environments import python_of
from kp_tf.artifacts.runs import load_run
from kp_tf.backends.inference import load_network, predict_records
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json, replacing, write_json
from kp_tf.core.geometry import bounding_boxes
from kp_tf.core.keypoints import IMM58, NOSE_POINT, describe
from kp_tf.data.datasets import find_data, split
from kp_tf.data.dlib_xml import read_dlib_xml, write_dlib_xml
from kp_tf.data.imm import read_imm
from kp_tf.evaluate import figures
from kp_tf.evaluate.metrics import face_errors, point_errors

SIZES = (10, 25, 50, 100, 192)
METHODS = ("kp_tf from compact", "kp_tf from scratch", "dlib")
OVERSAMPLING, DEPTH = 80, 3  # of dlib: the best of what was tried
ROOT = Path(__file__).parents[1]


def write_files(source: Path, folder: Path, sizes: list[int]) -> None:
    """IMM's photographs, with the training's XML for each size, the test's, and the scheme."""
    records = read_imm(source)
    records = replace(records, boxes=bounding_boxes(records.points), root=folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in records.files:
        shutil.copyfile(source / file, folder / file)
    training, test = split(records, "imm")
    order = np.random.default_rng(0).permutation(training)
    for size in sizes:
        write_dlib_xml(folder / f"train-{size}.xml", records.take(order[:size]))
    write_dlib_xml(folder / "test.xml", records.take(test))
    write_json(folder / "scheme.json", describe(replace(IMM58, name="imm")))


def train(method: str, size: int, folder: Path, source: Path) -> dict:
    """Train one method on the first `size` pictures and score it on the test's."""
    labels, test = folder / f"train-{size}.xml", folder / "test.xml"
    truth = read_dlib_xml(test, IMM58)
    exact = dict(zip((whole := read_imm(source)).files, whole.points, strict=True))  # the XML has whole pixels
    truth = replace(truth, points=np.array([exact[file] for file in truth.files]))
    if method == "dlib":
        answer = folder / f"dlib-{size}.json"
        options = [str(OVERSAMPLING), str(DEPTH)]
        script = str(ROOT / "benchmarks" / "dlib_trainer.py")
        subprocess.run([python_of("dlib"), script, labels, test, answer, *options], check=True)
        result = read_json(answer)
        points, seconds = np.array(result["points"], float), result["seconds"]
    else:
        out = folder / f"{method.replace(' ', '-')}-{size}"
        command = [sys.executable, ROOT / "train.py", "--labels", labels, "--val-labels", test, "--out", out]
        command += ["--scheme", folder / "scheme.json"]
        if (out / "config.json").is_file():
            command += ["--resume"]
        elif method == "kp_tf from compact":
            command += ["--init", "compact"]
        subprocess.run(command, check=True)
        run = load_run(out)
        points = predict_records(load_network(run), truth, run)
        seconds = sum(run.metrics["seconds_per_epoch"])
    errors = point_errors(points, truth.points)
    return {
        "method": method,
        "pictures": size,
        "mean_px": float(face_errors(points, truth.points).mean()),
        "nose_px": float(errors[:, NOSE_POINT].mean()),
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Learning curve on IMM, beside dlib's trainer.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("curve"))
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    parser.add_argument("--methods", metavar="METHOD", nargs="+", choices=METHODS, default=METHODS)
    arguments = parser.parse_args()
    kept = arguments.out / "curve.json"
    rows = read_json(kept)["rows"] if kept.is_file() else []
    try:
        source = find_data(arguments.data, "imm").folder("imm")
        write_files(source, arguments.out / "imm", arguments.sizes)
        for size in arguments.sizes:
            for method in arguments.methods:
                if not any((row["method"], row["pictures"]) == (method, size) for row in rows):
                    rows.append(train(method, size, arguments.out / "imm", source))
                    print(json.dumps(rows[-1]), flush=True)
                    write_json(kept, {"rows": rows})
    except KpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with replacing(arguments.out / "curve.md") as temporary:
        temporary.write_text(_markdown(rows), encoding="utf-8")
    curves = {m: [(r["pictures"], r["mean_px"]) for r in rows if r["method"] == m] for m in METHODS}
    figures.learning_curve(arguments.out / "curve.png", curves, "IMM, 58 points: error by number of pictures")
    print(_markdown(rows))
    return 0


def _markdown(rows: list[dict]) -> str:
    lines = ["| pictures | " + " | ".join(METHODS) + " |", "|---" * (1 + len(METHODS)) + "|"]
    for size in sorted({row["pictures"] for row in rows}):
        cells = []
        for method in METHODS:
            row = next((r for r in rows if (r["method"], r["pictures"]) == (method, size)), None)
            text = "{mean_px:.2f} px, nose {nose_px:.2f} px, {seconds:.0f} s"
            cells.append(text.format(**row) if row else "–")
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
