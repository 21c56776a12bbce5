"""This project's networks beside ready-made ones, on the same photographs, boxes and metric.

    python -m benchmarks.peers --labels DIR/ibug_300W_large_face_landmark_dataset/labels_ibug_300W_train.xml \
        --split validation --out peers

Each tool is a worker in a virtual environment of its own. Times are measured in turns, one face of each tool after
the other. Writes OUT.json, OUT.md and OUT-ced.png.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.interleave import interleave, quartiles
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


def compare(labels: Path, split: str, out: Path, tools: list[str]) -> None:
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
    single = interleave(sides, [[face] for face in faces[:SINGLE]])
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
            "ms_single": quartiles(1000 * np.array(single[label]), 2),
            "ms_batch": quartiles(1000 * np.array(batch[label]), 2),
            "seconds_cold_start": cold_starts[label],
            "megabytes": batches[0]["bytes"] / 1e6,
            "training_data": TOOLS[label][2],
        }
    result = {"labels": str(labels), "split": split, "device": processor(), "tools": table}
    plots.ced_plot(out.with_name(f"{out.name}-ced.png"), curves, f"{len(faces)} faces, {split}: cumulative error")
    save_table(out, result, _table(result))


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
    lines = [
        "| | NME % | median % | over 10 % | one face, ms | of a batch, ms | cold start, s | MB | trained on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label, row in result["tools"].items():
        missing = f" ({row['not_found']} of {row['faces']} not found)" if row["not_found"] else ""
        single, batch = ("{} ({}–{})".format(*row[name]) for name in ("ms_single", "ms_batch"))
        lines.append(
            f"| {label} | {100 * row['nme_mean']:.2f}{missing} | {100 * row['nme_median']:.2f} "
            f"| {100 * row['failure_10_percent']:.1f} % | {single} | {batch} | {row['seconds_cold_start']:.1f} "
            f"| {row['megabytes']:.1f} | {row['training_data']} |"
        )
    return [*lines, "", f"Times: median and quartiles, file to points, in turns, {result['device']}."]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare landmark tools on one labelled XML.")
    parser.add_argument("--labels", metavar="XML", type=Path, required=True, help="68 points in dlib's layout")
    parser.add_argument("--split", choices=("all", "validation"), default="all")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("peers"), help="without a suffix")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), metavar="TOOL")
    return exit_status("benchmarks.peers:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
