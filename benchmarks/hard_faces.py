"""The landmark errors of networks on hard faces: on 300-W's validation faces and on each set of `more_faces`.

    python -m benchmarks.hard_faces --data DIR --run compact --run large --out hard_faces

Scores the validation part of each set and all of it, with and without flips, by in-plane rotation, turn of the head and
age. Boxes are the labelled ones. The intervals are a bootstrap over persons, or over photographs where persons are not
known. Every run is compared with the first on the same faces. Networks that were trained with folds are given as
`--run NAME-{fold}`: the faces of each fold are predicted by the network of that fold, which has not seen them. Writes
OUT.json and OUT.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.face_sets import SETS, FaceSet, groups, read_set
from benchmarks.held_out import fold_of
from benchmarks.report import OUTER_EYES, processor, save_table
from kp_tf.backends import load_network
from kp_tf.cli import exit_status
from kp_tf.evaluate import metrics
from kp_tf.predict import confidence
from kp_tf.predict.samples import predict_samples

FAILURE = 0.10  # NME above which a face counts as a failure
RESAMPLES = 2000
FOLD = "{fold}"
LIMIT = 300  # faces of a set
SPLIT = ("300-W", "infanface", "wflw")  # sets whose scores the table also shows by rotation and turn
Scores = dict[str, dict]


def measure(data: Path, runs: list[str], out: Path, sets: Sequence[str] = SETS, limit: int = LIMIT) -> None:
    """Score the networks; write OUT.json and OUT.md."""
    faces = [read_set(data, name).limited(limit or None) for name in sets]
    result: dict = {"data": str(data), "device": processor(), "limit": limit, "runs": {}}
    errors: dict = {}
    for run in runs:
        for flips in (False, True):
            label = run + ", flips" * flips
            outputs = [predict(run, one, flips) for one in faces]
            errors[label] = [nme for nme, _ in outputs]
            first = errors[runs[0] + ", flips" * flips]
            result["runs"][label] = {
                one.name: score(one, nme, base if run != runs[0] else None) | {"confidence": sure}
                for one, (nme, sure), base in zip(faces, outputs, first, strict=True)
            }
            print(f"{label}: done", file=sys.stderr, flush=True)
    save_table(out, result, table(result))


def predict(run: str, faces: FaceSet, flips: bool) -> tuple[np.ndarray, dict]:
    """The NME (N,) of the faces from their labelled boxes, and how far confidence can be trusted (`trust`)."""
    folds = np.array([fold_of(file) for file in faces.samples.files])
    nme, said, near = np.empty(len(faces)), np.empty((len(faces), 68)), np.empty((len(faces), 68))
    for fold in np.unique(folds) if FOLD in run else (None,):
        places = np.flatnonzero((folds == fold) | (fold is None))
        info, network = load_network(run.replace(FOLD, str(fold)))
        samples = faces.samples.take(places)
        outputs = predict_samples(network, samples, info, flips=flips)
        nme[places] = metrics.nme(outputs[..., :2], samples.labels, OUTER_EYES)
        scale = info.recipe.crop_scale or 1.0
        distances = confidence.errors_in_crops(outputs[..., :2], samples.labels, samples.boxes, scale)
        near[places] = np.where(np.isnan(distances), np.nan, distances <= confidence.NEAR)
        said[places] = confidence.confidence_of(outputs[..., 2], info.calibration)
    return nme, trust(said, near)


def trust(said: np.ndarray, near: np.ndarray) -> dict[str, float]:
    """Confidence (N, K) beside the share of points that are near (N, K), of all points and of the least sure tenth."""
    known = ~np.isnan(said + near)
    said, near = said[known], near[known]
    if not len(said):
        return {}
    lowest = np.argsort(said)[: max(1, len(said) // 10)]
    return {
        "said": float(said.mean()),
        "near": float(near.mean()),
        "lowest_tenth_said": float(said[lowest].mean()),
        "lowest_tenth_near": float(near[lowest].mean()),
    }


def score(faces: FaceSet, nme: np.ndarray, base: np.ndarray | None) -> dict[str, Scores]:
    """Scores by part, "validation" and "all", and in each of all its faces and of its groups that are not empty.

    Args:
        faces: N faces.
        nme: (N,) fractions; NaN for a face whose eyes are not known, which no score counts.
        base: (N,) of the network that this one is compared with.
    """
    masks = {"all": np.ones(len(faces), bool), **groups(faces)}
    parts = {"validation": faces.held_out, "all": np.ones(len(faces), bool)}
    return {
        part: {
            name: scores_of(nme[chosen], faces.units[chosen], None if base is None else base[chosen])
            for name, mask in masks.items()
            if (chosen := mask & kept & ~np.isnan(nme)).any()
        }
        for part, kept in parts.items()
    }


def scores_of(nme: np.ndarray, units: np.ndarray, base: np.ndarray | None = None) -> dict:
    """Mean and median NME and the share of failures; the difference from `base` is negative if these are better."""
    scores = {
        "faces": len(nme),
        "nme": with_interval(nme, units),
        "median": float(np.median(nme)),
        "failures": with_interval(nme > FAILURE, units),
    }
    if base is not None:
        scores["difference"] = with_interval(nme - base, units)
        scores["failures_difference"] = with_interval((nme > FAILURE) * 1.0 - (base > FAILURE), units)
    return scores


def with_interval(values: np.ndarray, units: np.ndarray) -> list[float]:
    """The mean of values (N,) and its 95 % interval from a bootstrap over the units (N,)."""
    _, places = np.unique(units, return_inverse=True)
    sums, counts = np.bincount(places, values), np.bincount(places)
    draws = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    return [float(values.mean()), *map(float, np.percentile(means, [2.5, 97.5]))]


def table(result: dict) -> list[str]:
    """The scores as Markdown: a table of all sets for each part, and for each run one by rotation, turn and age."""
    runs = result["runs"]
    lines = []
    for part, title in (("validation", "Validation parts"), ("all", f"At most {result['limit']} faces of each set")):
        lines += [f"## {title}", "", "| | " + " | ".join(runs) + " |", "|---|" + "---|" * len(runs)]
        for name in next(iter(runs.values())):
            rows = [scores[name][part]["all"] for scores in runs.values() if part in scores[name]]
            lines.append(f"| {name}, {rows[0]['faces']} | " + " | ".join(map(_cell, rows)) + " |")
        lines.append("")
    lines += ["## By rotation, turn and age, all faces", "", "| | " + " | ".join(runs) + " |"]
    lines.append("|---|" + "---|" * len(runs))
    for name in next(iter(runs.values())):
        for group, scores in next(iter(runs.values()))[name]["all"].items():
            if group != "all" and (name in SPLIT or "years" in group):
                cells = [_cell(scores[name]["all"][group]) for scores in runs.values()]
                lines.append(f"| {name}, {group}, {scores['faces']} | " + " | ".join(cells) + " |")
    return [*lines, "", *_notes(runs)]


def _cell(scores: dict) -> str:
    value, low, high = (100 * number for number in scores["nme"])
    text = f"{value:.2f} ({low:.2f}–{high:.2f}), median {100 * scores['median']:.2f}"
    text += f", over 10 %: {100 * scores['failures'][0]:.1f} %"
    if "difference" in scores:
        text += ", Δ {:+.2f} ({:+.2f} to {:+.2f})".format(*(100 * number for number in scores["difference"]))
    return text


def _notes(runs: dict) -> list[str]:
    """What the numbers mean, and the confidence of each run."""
    lines = [
        "NME in per cent of the distance of the outer corners of the eyes, on the points that a set has: mean and its "
        "95 % interval from a bootstrap over persons or photographs, and the share of faces over 10 %. "
        "Δ: the mean difference from the first run on the same faces.",
        "",
        "| confidence | " + " | ".join(next(iter(runs.values()))) + " |",
        "|---|" + "---|" * len(next(iter(runs.values()))),
    ]
    for label, sets in runs.items():
        cells = [_trust_cell(scores["confidence"]) for scores in sets.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return [*lines, "", "Confidence said and the share of points that are near; the same of the least sure tenth."]


def _trust_cell(trusted: dict[str, float]) -> str:
    if not trusted:
        return "–"
    all_points = f"{100 * trusted['said']:.0f}, {100 * trusted['near']:.0f} %"
    return f"{all_points}; {100 * trusted['lowest_tenth_said']:.0f}, {100 * trusted['lowest_tenth_near']:.0f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description="Score networks on hard faces.")
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    add(
        "--run", metavar="RUN", dest="runs", action="append", required=True, help="what Predictor.load takes; or {fold}"
    )
    add("--out", metavar="NAME", type=Path, default=Path("hard_faces"), help="without a suffix")
    add("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help=f"default: {' '.join(SETS)}")
    add("--limit", metavar="N", type=int, default=LIMIT, help="faces of a set, 0 for all (default: %(default)s)")
    return exit_status("benchmarks.hard_faces:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
