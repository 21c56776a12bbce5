"""Faces in clips of known motion: the tracker with its filter and without, and dlib frame by frame.

    python -m benchmarks.tracking --data DIR --out tracking

The clips are made by `scenes.py` from faces of 300-W's validation side, such that dlib's detector, with which all
sides start, finds them at rest; dlib's points were trained on them. Nothing is blurred by motion and no face turns.
The sides take turns, clip by clip. Of each clip:

- jitter: the standard deviation over the frames of a still face, mean over the points' x and y; also in per cent of
  the distance of the outer eye corners.
- lag: by how many frames the truth's path has to be late to lie best (least squares, a constant distance between
  them left out) on the path of the points' centre.
- NME: as `kp_tf.evaluate.metrics` has it, mean of the frames with a face.
- frames a second: from decoded frames to points, all frames and all looks of the detector counted.

The first half second of each clip counts in the frames a second alone. Writes OUT.json, OUT.md and OUT.png.
`--choose` tries settings of the filter instead, on faces of the training side, and writes no OUT.png.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.scenes import FRAMES, MOTIONS, RATE, Motion, Scene, scenes
from benchmarks.turns import Side, conditions, ratio, summary
from kp_tf.core.environment import exit_status
from kp_tf.core.files import replacing, write_json
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import Data, read_labelled, split
from kp_tf.evaluate import figures
from kp_tf.evaluate.metrics import eye_distances, nme
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.tracking import OneEuro, Tracker

SETTLED = 15  # frames of a clip before which nothing is measured
FILTERED, UNFILTERED, DLIB = "kp_tf", "kp_tf, unfiltered", "dlib, frame by frame"
CHOICES = tuple(itertools.product((0.5, 1.0), (20.0, 50.0, 100.0, 200.0), (1.0, 4.0)))  # REST, SPEED, OF_SPEED

Followed = tuple[Sequence[Sequence[np.ndarray]], Sequence[float]]
"""Of each frame the points (K, 2) of its faces, and the seconds it took."""


def follow(predictor: Predictor, clip: np.ndarray, steady: Callable[[], OneEuro] | None = OneEuro) -> Followed:
    """Our side, frame by frame."""
    tracker, points, seconds = Tracker(predictor, steady), [], []
    for k, frame in enumerate(clip):
        start = time.perf_counter()
        points.append([face.points for face in tracker.update(frame, k / RATE)])
        seconds.append(time.perf_counter() - start)
    return points, seconds


def nearest(found: Sequence[Sequence[np.ndarray]], truth: np.ndarray) -> np.ndarray:
    """Of the faces found in each frame the nearest to the truth (T, K, 2); NaN where none is near."""
    points = np.full(truth.shape, np.nan)
    for k, faces in enumerate(found):
        errors = [nme(np.array(face)[None], truth[k][None], IBUG68.eyes)[0] for face in faces]
        if min(errors, default=1) < 0.5:
            points[k] = faces[int(np.argmin(errors))]
    return points


def lag(points: np.ndarray, scene: Scene, motion: Motion, seconds: np.ndarray) -> float:
    """Frames by which the points (T, K, 2) of T times are behind."""
    late, path = np.arange(-200, 400) / 100, points.mean(axis=1)

    def apart(frames: float) -> float:
        rest = path - scene.truth(motion, seconds - frames / RATE).mean(axis=1)
        return float(rest.var(axis=0).sum())

    return float(late[np.argmin([apart(frames) for frames in late])])


def measures(points: np.ndarray, scene: Scene, kind: str) -> dict[str, float]:
    """What the points (T, K, 2) of a clip come to, by name; without a face in any frame only that."""
    seen = np.isfinite(points).all(axis=(1, 2))
    seen[:SETTLED] = False
    result = {f"missed, {kind}": 100 * (1 - float(seen[SETTLED:].mean()))}
    if not seen.any():
        return result
    seconds, points = np.flatnonzero(seen) / RATE, points[seen]
    truth = scene.truth(MOTIONS[kind], seconds)
    result[f"nme, {kind}"] = 100 * float(nme(points, truth, IBUG68.eyes).mean())
    if kind == "still":
        jitter = float(points.std(axis=0).mean())
        result |= {"jitter, px": jitter, "jitter, %": 100 * jitter / float(eye_distances(truth, IBUG68.eyes)[0])}
    elif MOTIONS[kind].pixels:
        result[f"lag, {kind}"] = lag(points, scene, MOTIONS[kind], seconds)
    return result


def measure(data: Path, part: int, faces: int, sides: dict[str, Callable], keep: dict) -> dict:
    """Run the sides (clips to `Followed`) on faces of a part of the split: values by measure and side.

    `keep` gets the first face's points (T, K, 2), by kind and side.
    """
    records = read_labelled(Data(data, sample=False), "ibug", IBUG68)
    values, source = {}, scenes(records.take(split(records, "ibug")[part]), faces)
    for number, scene in enumerate(tqdm(source, total=faces, unit=" faces", disable=None)):
        for kind, motion in MOTIONS.items():
            clip = scene.clip(motion, (number, *kind.encode()))
            truth = scene.truth(motion, np.arange(FRAMES) / RATE)
            if not values:
                for side in sides.values():
                    side(clip[:SETTLED])  # the first frames of all are slower
            for label, side in sides.items():
                found, seconds = side(clip)
                points = nearest(found, truth)
                rates = {"frames a second": FRAMES / sum(seconds), "longest frame, ms": 1000 * max(seconds)}
                for name, value in (measures(points, scene, kind) | rates).items():
                    values.setdefault(name, {}).setdefault(label, []).append(value)
                if number == 0:
                    keep.setdefault(kind, {"truth": truth})[label] = points
    return values


def compare(data: Path, out: Path, faces: int) -> None:
    """The tracker beside dlib, and the picture."""
    predictor, dlib, kept = Predictor.load(), Side("dlib_frames", "dlib"), {}
    machine = conditions(dlib)
    with tempfile.TemporaryDirectory() as folder:

        def theirs(clip: np.ndarray) -> Followed:
            np.save(file := Path(folder) / "clip.npy", clip)
            answer = dlib.ask("follow", file=str(file))
            return answer["points"], answer["seconds"]

        ours = {FILTERED: partial(follow, predictor), UNFILTERED: partial(follow, predictor, steady=None)}
        _write(out, machine, faces, measure(data, 1, faces, {**ours, DLIB: theirs}, kept))
    dlib.close()
    part, panels = slice(SETTLED, SETTLED + 2 * RATE), {}
    for kind, name in (("still", "a face that keeps still"), ("fast", "a face in fast motion")):
        truth, raw, steady = (kept[kind][label][part, 30, 0] for label in ("truth", UNFILTERED, FILTERED))
        off = np.nanmean(raw - truth)  # the network's own error, the same all the time
        panels[name] = {"truth": truth, "found": raw - off, "found and filtered": steady - off}
    title = "Tip of the nose over two seconds; the mean error of the clip is taken off"
    figures.paths(out.with_suffix(".png"), np.arange(FRAMES)[part] / RATE, panels, title)


def choose(data: Path, out: Path, faces: int) -> None:
    """Settings of the filter beside no filter."""
    predictor = Predictor.load()
    sides = {str(choice): partial(follow, predictor, steady=partial(OneEuro, *choice)) for choice in CHOICES}
    sides[UNFILTERED] = partial(follow, predictor, steady=None)
    _write(out, conditions(), faces, measure(data, 0, faces, sides, {}))


def _write(out: Path, machine: dict, faces: int, values: dict[str, dict[str, list[float]]]) -> None:
    """OUT.json and OUT.md, and that to the terminal."""
    result = {**machine, "faces": faces, "measures": {name: summary(sides) for name, sides in values.items()}}
    pairs = [(name, FILTERED, UNFILTERED) for name in values if name.startswith(("jitter, px", "nme"))]
    pairs += [("frames a second", FILTERED, DLIB)]
    result["ratios"] = {
        f"{name}, {one} / {other}": ratio(values[name], one, other)
        for name, one, other in pairs
        if {one, other} <= values[name].keys()
    }
    write_json(out.with_suffix(".json"), result)
    names = ["jitter, px", "jitter, %", *(f"lag, {k}" for k in ("slow", "fast")), *(f"nme, {k}" for k in MOTIONS)]
    names += ["frames a second", "longest frame, ms"]
    lines = [f"| | {' | '.join(names)} | frames without the face |", "|---" * (len(names) + 2) + "|"]
    for side in result["measures"][names[0]]:
        cells = [_cell(result["measures"][name].get(side)) for name in names]
        missed = np.mean([values[f"missed, {kind}"][side] for kind in MOTIONS])
        lines.append(f"| {side} | {' | '.join(cells)} | {missed:.1f} % |")
    lines += ["", *(f"{name}: {_cell(value)}" for name, value in result["ratios"].items()), ""]
    place = f"{machine['processor']}, {machine['cores']} cores, load before {machine['load_before'][0]:.1f}"
    lines.append(f"{faces} faces, medians and quartiles of the clips, sides in turns. {place}.")
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _cell(value: dict | None) -> str:
    if value is None:
        return "–"
    return "{:.3g} ({:.3g}–{:.3g})".format(value["median"], *value["quartiles"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Jitter, lag, error and speed of tracked faces, beside dlib's.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", metavar="NAME", type=Path, default=Path("tracking"), help="without a suffix")
    parser.add_argument("--faces", metavar="N", type=int, default=12)
    parser.add_argument("--choose", action="store_true", help="try settings of the filter on training faces")
    given = vars(parser.parse_args())
    return exit_status(f"benchmarks.tracking:{'choose' if given.pop('choose') else 'compare'}", **given)


if __name__ == "__main__":
    sys.exit(main())
