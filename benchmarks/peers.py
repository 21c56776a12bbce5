"""This project's networks beside the ready-made ones, on the same photographs, boxes and metric.

    python -m benchmarks.peers --labels DIR/ibug_300W_large_face_landmark_dataset/labels_ibug_300W_train.xml \
        --split validation --out peers

Each tool is a process in a virtual environment of its own (made on first use, in ~/.cache/kp_tf). Times are taken
in turns, one face of each tool after the other. Writes peers.json, peers.md and peers-ced.png.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.environments import python_of
from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing, write_json
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import held_out_faces
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.evaluate import figures, metrics
from kp_tf.training.train import device_name

TOOLS = {  # by label: tool, network, what may be in its training data
    "kp_tf compact": ("kp_tf", "compact", "300-W without the photographs of validation"),
    "kp_tf large": ("kp_tf", "large", "300-W without the photographs of validation"),
    "dlib 68 points": ("dlib", "", "all of 300-W, these photographs too"),
    "MediaPipe FaceMesh": ("mediapipe", "", "Google's own photographs; its points are other ones, mapped to 68"),
}
SINGLE, BATCH, ROUNDS = 40, 64, 5


class Peer:
    """A tool's process, and how long it took to its first answer."""

    def __init__(self, tool: str, network: str, first: list) -> None:
        python = python_of(tool)
        start = time.perf_counter()
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3"}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1]) if tool == "kp_tf" else ""
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("peer.py")), tool, network],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.ask([first])
        self.cold_start = time.perf_counter() - start

    def ask(self, faces: list) -> dict:
        self.process.stdin.write(json.dumps(faces) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise KpError(f"{' '.join(self.process.args)}: expected points, found that it ended")
        return json.loads(line)


def compare(labels: Path, split: str, out: Path, tools: list[str]) -> dict:
    """Score and time the tools; writes OUT.json, OUT.md and OUT-ced.png."""
    records = read_dlib_xml(labels, IBUG68)
    if split == "validation":
        records = records.take(np.flatnonzero(np.logical_and(*held_out_faces(records, "ibug"))))
    files = [str((records.root / file).resolve()) for file in records.files]
    faces = [[file, box.tolist()] for file, box in zip(files, records.boxes, strict=True)]
    peers = {label: Peer(*TOOLS[label][:2], faces[0]) for label in tools}

    single, batch = ({label: [] for label in peers} for _ in range(2))
    for face in faces[:SINGLE]:
        for label, peer in peers.items():
            single[label].append(peer.ask([face])["seconds"])
    for _ in range(ROUNDS):
        for label, peer in peers.items():
            batch[label].append(peer.ask(faces[:BATCH])["seconds"] / len(faces[:BATCH]))

    table, curves = {}, {}
    for label, peer in peers.items():
        parts = [peer.ask(faces[k : k + BATCH]) for k in range(0, len(faces), BATCH)]
        points = np.concatenate([part["points"] for part in parts])
        found = np.isfinite(points).all(axis=(1, 2))
        scores = metrics.summary(points[found], records.points[found], IBUG68)["all"]
        # a face that a tool does not find has no error; the curve counts it as one beyond every limit
        errors = np.where(found, metrics.nme(points, records.points, IBUG68.eyes), np.inf)
        curves[f"{label}" + ("" if found.all() else f", {np.count_nonzero(~found)} not found")] = errors
        table[label] = {
            "faces": len(faces),
            "not_found": int(np.count_nonzero(~found)),
            **{name: value["value"] for name, value in scores.items() if name != "faces"},
            "ms_single": _spread(single[label]),
            "ms_batch": _spread(batch[label]),
            "seconds_cold_start": peer.cold_start,
            "megabytes": parts[0]["bytes"] / 1e6,
            "training_data": TOOLS[label][2],
        }
        peer.process.stdin.close()
        peer.process.wait()
    result = {"labels": str(labels), "split": split, "device": device_name(), "tools": table}
    write_json(out.with_suffix(".json"), result)
    figures.ced_plot(out.with_name(f"{out.name}-ced.png"), curves, f"{len(faces)} faces, {split}: cumulative error")
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text(text := _markdown(result), encoding="utf-8")
    print(text)
    return result


def _spread(seconds: list[float]) -> list[float]:
    """Median, lower and upper quartile in milliseconds."""
    return [round(1000 * float(value), 2) for value in np.percentile(seconds, [50, 25, 75])]


def _markdown(result: dict) -> str:
    lines = [
        "| | NME % | median % | over 10 % | one face, ms | of a batch, ms | cold start, s | MB | trained on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label, row in result["tools"].items():
        missing = f" ({row['not_found']} of {row['faces']} not found)" if row["not_found"] else ""
        single, batch = (f"{row[k][0]} ({row[k][1]}–{row[k][2]})" for k in ("ms_single", "ms_batch"))
        lines.append(
            f"| {label} | {100 * row['nme_mean']:.2f}{missing} | {100 * row['nme_median']:.2f} "
            f"| {100 * row['failure_10_percent']:.1f} % | {single} | {batch} | {row['seconds_cold_start']:.1f} "
            f"| {row['megabytes']:.1f} | {row['training_data']} |"
        )
    return "\n".join([*lines, "", f"Times: median and quartiles, file to points, in turns, {result['device']}."])


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare landmark tools on one labelled XML.")
    parser.add_argument("--labels", metavar="XML", type=Path, required=True, help="68 points in dlib's layout")
    parser.add_argument("--split", choices=("all", "validation"), default="all")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("peers"), help="without a suffix")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), metavar="TOOL")
    return exit_status("benchmarks.peers:compare", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
