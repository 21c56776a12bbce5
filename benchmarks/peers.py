"""This project's networks beside ready-made ones, on the same photographs, boxes and metric.

    python -m benchmarks.peers --labels DIR/ibug_300W_large_face_landmark_dataset/labels_ibug_300W_train.xml \
        --split validation --out peers

Each tool is a worker in a virtual environment of its own. Times are measured in turns, one face of each tool after
the other, on the photographs as they are and enlarged to the sizes of cameras. Writes OUT.json, OUT.md and
OUT-ced.png.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.interleave import best, interleave, quartiles, ratio
from benchmarks.launch import face_list, start_worker
from benchmarks.report import OUTER_EYES, processor, save_table
from benchmarks.workers.protocol import Worker
from kp_tf.cli import exit_status
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.splits import in_validation, is_mirror
from kp_tf.evaluate import metrics, plots

TOOLS = {  # by label: worker, its settings, what may be in its training data
    "kp_tf compact": ("predictor", {"network": "compact"}, "300-W without these photographs, and other sets"),
    "kp_tf large": ("predictor", {"network": "large"}, "300-W without these photographs, and other sets"),
    "dlib 68 points": ("dlib", {}, "all of 300-W, these photographs too"),
    "MediaPipe FaceMesh": ("mediapipe", {}, "Google's own photographs; its points are other ones, mapped to 68"),
}
SINGLE = 40  # faces that are timed one at a time
BATCH, ROUNDS = 64, 5  # faces of a batch, and how often it is timed
OURS = "kp_tf compact"  # whose times are divided by those of the fastest other tool


def compare(labels: Path, split: str, out: Path, tools: list[str], megapixels: list[float], single: int) -> None:
    """Score and time the tools; write OUT.json, OUT.md and OUT-ced.png."""
    samples = read_dlib_xml(labels, IBUG68)
    if split == "validation":
        held_out = [in_validation(file) and not is_mirror(file) for file in samples.files]
        samples = samples.take(np.flatnonzero(held_out))
    faces = face_list(samples)
    workers, cold_starts = {}, {}
    for label in tools:
        workers[label], cold_starts[label] = _start(label, faces[0])

    def seconds(worker: Worker, faces: list) -> float:
        return worker.ask("landmarks", faces=faces)["seconds"] / len(faces)

    sides = {label: partial(seconds, worker) for label, worker in workers.items()}
    alone = {"": interleave(sides, [[face] for face in faces[:single]])}
    with tempfile.TemporaryDirectory() as folder:
        for size in megapixels:
            larger = [enlarged(face, 1e6 * size, Path(folder, f"{k}.jpg")) for k, face in enumerate(faces[:single])]
            alone[f"{size:g} MP"] = interleave(sides, [[face] for face in larger])
    batch = interleave(sides, [faces[:BATCH]] * ROUNDS)
    table, curves = {}, {}
    for label, worker in workers.items():
        batches = [worker.ask("landmarks", faces=faces[k : k + BATCH]) for k in range(0, len(faces), BATCH)]
        worker.close()
        points = np.concatenate([answer["points"] for answer in batches])
        scores, errors = _score(points, samples.labels)
        missing = int(np.isinf(errors).sum())
        curves[label + (f", {missing} not found" if missing else "")] = errors
        table[label] = {
            "faces": len(faces),
            "not_found": missing,
            **scores,
            "ms_single": {size: quartiles(1000 * np.array(values[label]), 2) for size, values in alone.items()},
            "ms_batch": quartiles(1000 * np.array(batch[label]), 2),
            "seconds_cold_start": cold_starts[label],
            "megabytes": batches[0]["bytes"] / 1e6,
            "training_data": TOOLS[label][2],
        }
    result = {"labels": str(labels), "split": split, "device": processor(), "tools": table}
    result["ratios"] = {size: _ratio(values) for size, values in alone.items()} if OURS in tools else {}
    plots.ced_plot(out.with_name(f"{out.name}-ced.png"), curves, f"{len(faces)} faces, {split}: cumulative error")
    save_table(out, result, _table(result))


def enlarged(face: list, pixels: float, path: Path) -> list:
    """A face [path, box] whose photograph is enlarged to so many pixels and saved as JPEG of quality 90."""
    file, box = face
    with Image.open(file) as photograph:
        factor = np.sqrt(pixels / (photograph.width * photograph.height))
        size = round(factor * photograph.width), round(factor * photograph.height)
        larger = photograph.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        scale = np.tile(np.divide(size, photograph.size), 2)
    larger.save(path, quality=90)
    return [str(path), (np.array(box) * scale).tolist()]


def _ratio(seconds: dict[str, list[float]]) -> dict:
    """The times of OURS divided by those of the fastest tool that is not this project's."""
    others = {label: values for label, values in seconds.items() if not label.startswith("kp_tf")}
    if not others:
        return {}
    fastest = best(others, "", largest=False)
    return {"other": fastest, **ratio(seconds, OURS, fastest)}


def _start(label: str, face: list) -> tuple[Worker, float]:
    """Start a tool; return it and the seconds to its first answer."""
    name, settings, _ = TOOLS[label]
    worker = start_worker(name, **settings)
    worker.ask("landmarks", faces=[face])
    return worker, time.perf_counter() - worker.started


def _score(points: np.ndarray, truth: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """The metrics of the faces that have points (N, 68, 2), and the NME (N,), infinite where a face has none."""
    present = np.isfinite(points).all(axis=(1, 2))
    summary = metrics.summary(points[present], truth[present], IBUG68)["all"]
    scores = {name: measure["value"] for name, measure in summary.items() if name != "faces"}
    return scores, np.where(present, metrics.nme(points, truth, OUTER_EYES), np.inf)


def _table(result: dict) -> list[str]:
    sizes = list(next(iter(result["tools"].values()))["ms_single"])
    alone = [f"one face{f' of {size}' if size else ''}, ms" for size in sizes]
    names = ["NME %", "median %", "over 10 %", *alone, "of a batch, ms", "cold start, s", "MB", "trained on"]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for label, row in result["tools"].items():
        missing = f" ({row['not_found']} of {row['faces']} not found)" if row["not_found"] else ""
        times = ["{} ({}–{})".format(*values) for values in (*row["ms_single"].values(), row["ms_batch"])]
        lines.append(
            f"| {label} | {100 * row['nme_mean']:.2f}{missing} | {100 * row['nme_median']:.2f} "
            f"| {100 * row['failure_10_percent']:.1f} % | {' | '.join(times)} | {row['seconds_cold_start']:.1f} "
            f"| {row['megabytes']:.1f} | {row['training_data']} |"
        )
    ratios = [
        f"{OURS} / {value['other']}{f', {size}' if size else ''}: {value['median']:.2f} ({{:.2f}}–{{:.2f}})".format(
            *value["quartiles"]
        )
        for size, value in result["ratios"].items()
        if value
    ]
    return [*lines, "", *ratios, "", f"Times: median and quartiles, file to points, in turns, {result['device']}."]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare landmark tools on one labelled XML.")
    parser.add_argument("--labels", metavar="XML", type=Path, required=True, help="68 points in dlib's layout")
    parser.add_argument("--split", choices=("all", "validation"), default="all")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("peers"), help="without a suffix")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), metavar="TOOL")
    parser.add_argument("--megapixels", metavar="N", nargs="*", type=float, default=[2, 12], help="sizes to enlarge to")
    parser.add_argument("--single", metavar="N", type=int, default=SINGLE, help="faces that are timed one at a time")
    return exit_status("benchmarks.peers:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
