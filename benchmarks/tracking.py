"""Faces in clips of known motion: the tracker with its filter and without, and dlib frame by frame.

    python -m benchmarks.tracking --data DIR --out tracking

The clips (`scenes.py`) show faces of 300-W's validation split that dlib's detector, with which all sides start,
finds at rest; dlib's points were trained on them. There is no motion blur, and no face rotates. The sides take
turns, clip by clip. The measures of a clip are:

- jitter: the standard deviation over the frames of a still face, averaged over x and y of all points; also in per
  cent of the distance between the outer eye corners.
- lag: the number of frames by which the true path must be delayed to fit the path of the points' centre best, by
  least squares and up to a constant offset.
- NME: as `kp_tf.evaluate.metrics` defines it, averaged over the frames with a face.
- frames per second: from decoded frames to points, including the detector's frames.

Only the frames per second count the first half second of a clip. Writes OUT.json, OUT.md and OUT.png. `--choose`
compares settings of the filter instead, on faces of the training split, and writes no OUT.png.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.interleave import ratio, summarize_all
from benchmarks.launch import KEEP_MEMORY, start_worker
from benchmarks.report import OUTER_EYES, machine, save_table
from benchmarks.scenes import FRAMES, MOTIONS, RATE, Motion, Scene, random_scenes
from benchmarks.workers.protocol import timed
from kp_tf.cli import exit_status
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.evaluate import plots
from kp_tf.evaluate.metrics import eye_distances, nme
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import OneEuro, Tracker

WARM_UP = 15  # frames of a clip before which nothing is measured
FILTERED, UNFILTERED, DLIB = "kp_tf", "kp_tf, unfiltered", "dlib, frame by frame"
CHOICES = tuple(itertools.product((0.5, 1.0), (20.0, 50.0, 100.0, 200.0), (1.0, 4.0)))  # arguments of OneEuro

Tracked = tuple[Sequence[Sequence[np.ndarray]], Sequence[float]]  # each frame's faces (K, 2), and its seconds
Values = dict[str, dict[str, list[float]]]  # of all clips, by measure and side


def track(predictor: Predictor, clip: np.ndarray, make_filter: Callable[[], OneEuro] | None = OneEuro) -> Tracked:
    """Track the faces of a clip (T, H, W, 3) with this project's tracker, frame by frame."""
    tracker = Tracker(predictor, make_filter)
    faces, seconds = zip(*(timed(tracker.update, frame, k / RATE) for k, frame in enumerate(clip)), strict=True)
    return [[face.points for face in faces_of_frame] for faces_of_frame in faces], seconds


def nearest(faces_by_frame: Sequence[Sequence[np.ndarray]], truth: np.ndarray) -> np.ndarray:
    """Return in each frame the face nearest to the truth (T, K, 2), or NaN where none has an NME below 0.5."""
    points = np.full(truth.shape, np.nan)
    for k, faces in enumerate(faces_by_frame):
        errors = [nme(np.array(face)[None], truth[k][None], OUTER_EYES)[0] for face in faces]
        if min(errors, default=1) < 0.5:
            points[k] = faces[int(np.argmin(errors))]
    return points


def lag(points: np.ndarray, scene: Scene, motion: Motion, seconds: np.ndarray) -> float:
    """Return the number of frames by which points (T, K, 2) of times (T,) are late."""
    delays, path = np.arange(-200, 400) / 100, points.mean(axis=1)

    def misfit(delay: float) -> float:
        residual = path - scene.truth(motion, seconds - delay / RATE).mean(axis=1)
        return float(residual.var(axis=0).sum())

    return float(delays[np.argmin([misfit(delay) for delay in delays])])


def measures(points: np.ndarray, scene: Scene, kind: str) -> dict[str, float]:
    """Measure the points (T, K, 2) of a clip with this kind of motion, NaN in frames without a face.

    Returns:
        Values by measure; without a face in any frame, only the percentage of frames that miss it.
    """
    present = np.asarray(np.isfinite(points).all(axis=(1, 2)))
    present[:WARM_UP] = False
    result = {f"missed, {kind}": 100 * (1 - float(present[WARM_UP:].mean()))}
    if not present.any():
        return result
    seconds, points = np.flatnonzero(present) / RATE, points[present]
    truth = scene.truth(MOTIONS[kind], seconds)
    result[f"nme, {kind}"] = 100 * float(nme(points, truth, OUTER_EYES).mean())
    if kind == "still":
        jitter = float(points.std(axis=0).mean())
        result |= {"jitter, px": jitter, "jitter, %": 100 * jitter / float(eye_distances(truth, OUTER_EYES)[0])}
    elif MOTIONS[kind].pixels:
        result[f"lag, {kind}"] = lag(points, scene, MOTIONS[kind], seconds)
    return result


def measure_all(samples: Samples, count: int, sides: dict[str, Callable[[np.ndarray], Tracked]]) -> tuple:
    """Run every side on the clips of some faces.

    Returns:
        The `Values`, and the first face's points (T, K, 2) and their truth by kind of motion and side.
    """
    values, first = {}, {}
    for number, scene in enumerate(tqdm(random_scenes(samples, count), total=count, unit=" faces", disable=None)):
        for kind, motion in MOTIONS.items():
            clip = scene.clip(motion, (number, *kind.encode()))
            truth = scene.truth(motion, np.arange(FRAMES) / RATE)
            if not values:
                for side in sides.values():
                    side(clip[:WARM_UP])  # a side's very first frames are slower
            for label, side in sides.items():
                faces_by_frame, seconds = side(clip)
                points = nearest(faces_by_frame, truth)
                rates = {"frames a second": FRAMES / sum(seconds), "longest frame, ms": 1000 * max(seconds)}
                for name, value in (measures(points, scene, kind) | rates).items():
                    values.setdefault(name, {}).setdefault(label, []).append(value)
                if number == 0:
                    first.setdefault(kind, {"truth": truth})[label] = points
    return values, first


def compare(data: Path, out: Path, faces: int) -> None:
    """Compare the tracker with dlib, and draw the path of a point; write OUT.json, OUT.md and OUT.png."""
    predictor = Predictor.load()
    with tempfile.TemporaryDirectory() as folder, start_worker("dlib", KEEP_MEMORY) as dlib:
        conditions = machine(dlib)

        def track_with_dlib(clip: np.ndarray) -> Tracked:
            np.save(file := Path(folder) / "clip.npy", clip)
            answer = dlib.ask("track", file=str(file))
            return answer["points"], answer["seconds"]

        ours = {FILTERED: partial(track, predictor), UNFILTERED: partial(track, predictor, make_filter=None)}
        samples = IbugDataset(data / FOLDERS["ibug"]).read_split().validation
        values, first = measure_all(samples, faces, {**ours, DLIB: track_with_dlib})
    _save(out, conditions, faces, values)
    part, panels = slice(WARM_UP, WARM_UP + 2 * RATE), {}
    for kind, name in (("still", "a face that keeps still"), ("fast", "a face in fast motion")):
        truth, raw, filtered = (first[kind][label][part, 30, 0] for label in ("truth", UNFILTERED, FILTERED))
        offset = np.nanmean(raw - truth)  # the network's own error, the same in all frames
        panels[name] = {"truth": truth, "unfiltered": raw - offset, "filtered": filtered - offset}
    title = "Tip of the nose over two seconds; the mean error of the clip is taken off"
    plots.paths(out.with_suffix(".png"), np.arange(FRAMES)[part] / RATE, panels, title)


def choose(data: Path, out: Path, faces: int) -> None:
    """Compare settings of the filter; write OUT.json and OUT.md."""
    predictor = Predictor.load()
    sides = {str(choice): partial(track, predictor, make_filter=partial(OneEuro, *choice)) for choice in CHOICES}
    sides[UNFILTERED] = partial(track, predictor, make_filter=None)
    samples = IbugDataset(data / FOLDERS["ibug"]).read_split().training
    _save(out, machine(), faces, measure_all(samples, faces, sides)[0])


def _save(out: Path, conditions: dict, faces: int, values: Values) -> None:
    """Write the values of all clips as OUT.json and OUT.md."""
    summaries = {name: summarize_all(sides) for name, sides in values.items()}
    result = {**conditions, "faces": faces, "measures": summaries}
    pairs = [(name, FILTERED, UNFILTERED) for name in values if name.startswith(("jitter, px", "nme"))]
    result["ratios"] = {
        f"{name}, {one} / {other}": ratio(values[name], one, other)
        for name, one, other in [*pairs, ("frames a second", FILTERED, DLIB)]
        if {one, other} <= values[name].keys()
    }
    names = ["jitter, px", "jitter, %", *(f"lag, {k}" for k in ("slow", "fast")), *(f"nme, {k}" for k in MOTIONS)]
    names += ["frames a second", "longest frame, ms"]
    lines = [f"| | {' | '.join(names)} | frames without the face |", "|---" * (len(names) + 2) + "|"]
    for side in summaries[names[0]]:
        cells = [_cell(summaries[name].get(side)) for name in names]
        missed = np.mean([values[f"missed, {kind}"][side] for kind in MOTIONS])
        lines.append(f"| {side} | {' | '.join(cells)} | {missed:.1f} % |")
    lines += ["", *(f"{name}: {_cell(value)}" for name, value in result["ratios"].items()), ""]
    place = f"{conditions['processor']}, {conditions['cores']} cores, load before {conditions['load_before'][0]:.1f}"
    lines.append(f"{faces} faces, medians and quartiles of the clips, sides in turns. {place}.")
    save_table(out, result, lines)


def _cell(summary: dict | None) -> str:
    return "{:.3g} ({:.3g}–{:.3g})".format(summary["median"], *summary["quartiles"]) if summary else "–"


def main() -> int:
    parser = argparse.ArgumentParser(description="Jitter, lag, error and speed of tracked faces, beside dlib's.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("tracking"), help="without a suffix")
    parser.add_argument("--faces", metavar="N", type=int, default=12)
    parser.add_argument("--choose", action="store_true", help="try settings of the filter on training faces")
    arguments = vars(parser.parse_args())
    return exit_status(f"benchmarks.tracking:{'choose' if arguments.pop('choose') else 'compare'}", **arguments)


if __name__ == "__main__":
    sys.exit(main())
