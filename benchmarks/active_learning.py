"""Whether marking those photographs first that the network is least sure of needs fewer than a random order, on IMM.

    python -m benchmarks.active_learning --data DIR --out active

The pool is IMM's people 1–32, the test people 33–40. Each seed draws the first pictures. From there, pictures are added
until there are 12, 24 and 48 of them: those that the network trained so far is least sure of, in the order of a
project's page (`kp_tf/apps/demo/next_to_mark.py`), or random ones. Every network is trained as the page does, from
`compact` with a tenth of its pictures for validation, for 60 epochs; the test takes no part. Rows that are finished are
kept, so the command continues where it was interrupted. Writes OUT/active.json, OUT/active.md and OUT/active.png.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.launch import ROOT
from benchmarks.learning_curve import write_files
from benchmarks.report import parse_arguments, save_table
from kp_tf.apps.demo.doubt import most_useful_first
from kp_tf.apps.demo.mean_shape import mean_shape
from kp_tf.apps.demo.next_to_mark import look_at
from kp_tf.apps.demo.project import POINTS, Project
from kp_tf.apps.demo.proposals import Key, Proposals
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json, write_json
from kp_tf.core.geometry import boxes_around_points
from kp_tf.data.datasets import find_data
from kp_tf.data.dlib_xml import write_dlib_xml
from kp_tf.data.imm import read_imm
from kp_tf.data.samples import Samples
from kp_tf.data.splits import in_imm_validation
from kp_tf.evaluate import plots
from kp_tf.evaluate.metrics import face_errors
from kp_tf.predict.samples import predict_samples

SIZES = (6, 12, 24, 48)
SEEDS = (0, 1, 2)
EPOCHS = 60
UNSURE, RANDOM = "least sure first", "random order"
QUICK = {"sizes": (3, 5), "seeds": (0,), "epochs": 1, "pool": 9}


def compare(data: str | None, out: Path, sizes: list[int], seeds: list[int], epochs: int, pool: int | None) -> None:
    """Train and score every order and seed with every number of pictures that has no row yet."""
    source, folder, kept = find_data(data, "imm").folder("imm"), out / "imm", out / "active.json"
    test = write_files(source, folder, [])
    samples = read_imm(source)
    samples = replace(samples, boxes=boxes_around_points(samples.labels), root=folder)
    samples = samples.take([k for k, file in enumerate(samples.files) if not in_imm_validation(file)][:pool])
    result = read_json(kept) if kept.is_file() else {"settings": {"sizes": [*sizes], "epochs": epochs}, "rows": []}
    if result["settings"] != {"sizes": [*sizes], "epochs": epochs}:
        raise KpError(f"{kept} has other settings: {result['settings']}; choose another folder with --out")
    for seed in seeds:
        shuffled = np.random.default_rng(seed).permutation(len(samples)).tolist()
        for order in (UNSURE, RANDOM):
            chosen, run = shuffled[: sizes[0]], Path()
            for size in sizes:
                row = _row(result["rows"], seed, order, size)
                if row is None:
                    rest = [k for k in shuffled if k not in chosen]
                    if size > sizes[0] and order == UNSURE:
                        rest = _in_order(folder, samples, chosen, rest, run)
                    row = {"seed": seed, "order": order, "pictures": size}
                    row |= {"chosen": chosen + rest[: size - len(chosen)]}
                    result["rows"].append(row)
                    write_json(kept, result)
                chosen = row["chosen"]
                run = out / "runs" / f"{seed}-{'start' if size == sizes[0] else order.split()[0]}-{size}"
                if "mean_px" not in row:
                    _train(run, folder, samples.take(chosen), epochs)
                    row["mean_px"] = _error(run, test)
                    print(json.dumps({name: value for name, value in row.items() if name != "chosen"}), flush=True)
                    write_json(kept, result)
    curves = {order: _means(result["rows"], order) for order in (UNSURE, RANDOM)}
    title = f"IMM, 58 points: error by number of marked pictures, mean of {len(seeds)} seeds"
    plots.learning_curve(out / "active.png", curves, title)
    save_table(out / "active", result, _table(result["rows"], sizes))


def _row(rows: list[dict], seed: int, order: str, size: int) -> dict | None:
    return next((row for row in rows if (row["seed"], row["order"], row["pictures"]) == (seed, order, size)), None)


def _in_order(folder: Path, samples: Samples, chosen: list[int], rest: list[int], run: Path) -> list[int]:
    """The pictures that are left, those first that this network is least sure of."""
    write_dlib_xml(folder / POINTS, samples.take(chosen))
    project = Project(folder)
    shape = mean_shape(project, project.scheme) if project.scheme else {}
    loaded = Proposals().load(Key(str(run)))
    views = [look_at(loaded, folder / samples.files[k], None, shape) for k in rest]
    known = [look_at(loaded, folder / samples.files[k], samples.boxes[k], shape) for k in chosen]
    doubts = np.array([view.doubt for view in views])
    order = most_useful_first(doubts, [view.look for view in views], [view.look for view in known])  # type: ignore
    return [rest[place] for place in order]


def _train(run: Path, folder: Path, samples: Samples, epochs: int) -> None:
    """Train a network as the page does, unless it is there."""
    if (run / "metrics.json").is_file():
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    labels = folder / f"{run.name}.xml"
    write_dlib_xml(labels, samples)
    command = [sys.executable, ROOT / "train.py", "--labels", labels, "--scheme", folder / "scheme.json", "--out", run]
    command += ["--epochs", str(epochs), *(["--resume"] if (run / "config.json").is_file() else ["--init", "compact"])]
    subprocess.run(command, check=True)


def _error(run: Path, test: Samples) -> float:
    """The mean error in pixels on the test."""
    info, network = load_network(run)
    points = predict_samples(network, replace(test, boxes=test.boxes.round()), info)[..., :2]
    return float(face_errors(points, test.labels).mean())


def _errors(rows: list[dict], order: str, size: int) -> np.ndarray:
    return np.array([row["mean_px"] for row in rows if (row["order"], row["pictures"]) == (order, size)])


def _means(rows: list[dict], order: str) -> list[tuple[int, float]]:
    sizes = sorted({row["pictures"] for row in rows})
    return [(size, float(_errors(rows, order, size).mean())) for size in sizes]


def _table(rows: list[dict], sizes: list[int]) -> list[str]:
    lines = [f"| pictures | {UNSURE} | {RANDOM} | difference, seed by seed |", "|---|---|---|---|"]
    for size in sizes:
        unsure, random = (_errors(rows, order, size) for order in (UNSURE, RANDOM))
        differences = ", ".join(f"{difference:+.2f}" for difference in unsure - random)
        lines.append(f"| {size} | {unsure.mean():.2f} px | {random.mean():.2f} px | {differences} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Marking the least sure photographs first beside a random order.")
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("active"))
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", metavar="N", type=int, default=EPOCHS)
    parser.add_argument("--pool", metavar="N", type=int, help="pictures to choose from (default: all)")
    return exit_status("benchmarks.active_learning:compare", **parse_arguments(parser, QUICK))


if __name__ == "__main__":
    sys.exit(main())
