"""Whether confidence says how often points are near, and on how few faces it can be calibrated.

    python -m benchmarks.calibration --data DIR --run compact --run large

Measures each network on 300-W's validation faces and on hard ones, those of `infanface` and `wflw`, and prints three
tables:

- The mean confidence and the share of near points by tenths of the confidence. Each face has the calibration of the
  other four fifths of the faces (persons or photographs are never divided): two or three numbers fitted to 300-W alone,
  and three fitted to both as `train --add-val` does.
- The same of points that cannot be seen: those below a grey rectangle over half of the face, and the jaw, eye and brow
  on the far side of hard faces that are turned away.
- How far the mean confidence is off when it is calibrated on N random faces of 300-W: quartiles and 95th percentile.

A network that was trained on `more_faces` has not seen its validation parts; `--held-out` takes these alone.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.face_sets import TURNED, FaceSet, read_set, turns
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends import load_network
from kp_tf.backends.network import Network
from kp_tf.cli import exit_status
from kp_tf.data.samples import Samples
from kp_tf.predict import confidence
from kp_tf.predict.samples import predict_samples
from kp_tf.training.calibration import Seen, calibration

HARD = ("infanface", "wflw")
SIZES = (4, 7, 10, 15, 20, 30, 48, 100)
DRAWS = 300
FOLDS = 5
SIDES = ([*range(7), *range(17, 22), *range(36, 42)], [*range(10, 17), *range(22, 27), *range(42, 48)])  # left, right
TITLES = ("two numbers, 300-W", "three numbers, 300-W", "three numbers, both")


@dataclass(frozen=True)
class Measured:
    """Faces of one kind that a network has predicted, and the units (N,) of which none is divided."""

    seen: Seen
    units: np.ndarray

    def take(self, faces: np.ndarray) -> Seen:
        """The faces of a mask (N,)."""
        seen = self.seen
        return Seen(seen.samples.take(np.flatnonzero(faces)), seen.outputs[faces], seen.errors[faces])


def measure(data: Path, runs: list[str], held_out: bool, sizes: list[int], draws: int) -> None:
    """Print the tables of each network."""
    for run in runs:
        info, network = load_network(run)
        usual = predicted(network, info, [read_set(data, "300-W")])
        sets = [read_set(data, name) for name in HARD]
        hard = predicted(network, info, [one.take(np.flatnonzero(one.held_out)) if held_out else one for one in sets])
        print(f"## {run}\n")
        print_tenths(usual, hard)
        print_unseen(network, info, usual, hard)
        print_sizes(usual.seen, sizes, draws)


def predicted(network: Network, info: ModelInfo, sets: list[FaceSet]) -> Measured:
    """What a network makes of the faces of some sets."""
    parts = [predict_samples(network, faces.samples, info) for faces in sets]
    samples = sets[0].samples
    for faces in sets[1:]:
        samples = samples.joined(faces.samples)
    units = np.concatenate([np.char.add(f"{faces.name} ", faces.units.astype(str)) for faces in sets])
    return Measured(Seen.of(samples, np.concatenate(parts), info.recipe.crop_scale), units)


def fits(usual: Seen, hard: Seen) -> list[tuple[float, ...] | None]:
    """The calibrations of TITLES."""
    three = calibration(usual.variance, usual.errors, {})["calibration"]
    both = calibration(usual.variance, usual.errors, {"hard": hard})["calibration"]
    return [confidence.fit(usual.variance, usual.errors, most=2), three, both]


def cross_validated(usual: Measured, hard: Measured) -> list[list[np.ndarray]]:
    """The confidence (N, K) of the usual and of the hard faces for each of TITLES, by calibrations on other faces."""
    said = [[np.full(side.seen.errors.shape, np.nan) for side in (usual, hard)] for _ in TITLES]
    folds = [fold_of(side.units) for side in (usual, hard)]
    for fold in range(FOLDS):
        numbers = fits(usual.take(folds[0] != fold), hard.take(folds[1] != fold))
        for values, fitted in zip(said, numbers, strict=True):
            for value, side, places in zip(values, (usual, hard), folds, strict=True):
                value[places == fold] = confidence.confidence_of(side.seen.variance[places == fold], fitted)
    return said


def fold_of(units: np.ndarray) -> np.ndarray:
    """The fold (N,) of faces with these units (N,), in random order."""
    names, places = np.unique(units, return_inverse=True)
    return np.random.default_rng(0).permutation(len(names))[places] % FOLDS


def tenths(said: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Mean confidence and share of near points (10, 2) by tenths of the confidence; both arguments are (N, K)."""
    known = np.isfinite(errors) & np.isfinite(said)
    order = np.argsort(said[known], kind="stable")
    values = np.column_stack([said[known], errors[known] <= confidence.NEAR])[order]
    return np.array([part.mean(axis=0) for part in np.array_split(values, 10)])


def print_tenths(usual: Measured, hard: Measured) -> None:
    """Print the tenths of each calibration."""
    print("| said / near, % | lowest tenth | the other tenths |\n|---|---|---|")
    for title, values in zip(TITLES, cross_validated(usual, hard), strict=True):
        for name, said, side in zip(("300-W", "hard"), values, (usual, hard), strict=True):
            cells = [f"{100 * one:.0f} / {100 * other:.0f}" for one, other in tenths(said, side.seen.errors)]
            print(f"| {title}: {name}, {len(said)} faces | {cells[0]} | {', '.join(cells[1:])} |", flush=True)


def print_unseen(network: Network, info: ModelInfo, usual: Measured, hard: Measured) -> None:
    """Print the confidence in points that cannot be seen, calibrated on both kinds of faces."""
    numbers = fits(usual.seen, hard.seen)[-1]
    print("\n| points | confidence, % | near, % |\n|---|---|---|")
    with TemporaryDirectory() as folder:
        samples, covered = covered_faces(usual.seen.samples, Path(folder))
        below = Seen.of(samples, predict_samples(network, samples, info), info.recipe.crop_scale)
    far, near = far_sides(hard.seen.samples.labels)
    rows = {
        "300-W, below a grey rectangle": (below, covered),
        "the same points, not covered": (usual.seen, covered),
        "the others of these faces": (below, ~covered),
        "hard faces, turned: far side": (hard.seen, far),
        "hard faces, turned: near side": (hard.seen, near),
    }
    for name, (seen, points) in rows.items():
        known = points & np.isfinite(seen.errors)
        said = confidence.confidence_of(seen.variance, numbers)[known].mean()
        print(f"| {name} | {100 * said:.0f} | {100 * np.mean(seen.errors[known] <= confidence.NEAR):.0f} |", flush=True)


def covered_faces(samples: Samples, folder: Path) -> tuple[Samples, np.ndarray]:
    """Copies of photographs in which half of each face is grey, left, right, upper and lower in turn, in the folder;
    and which points (N, K) are covered."""
    files, covered = [], np.zeros(samples.labels.shape[:2], bool)
    for face, (file, points) in enumerate(zip(samples.files, samples.labels, strict=True)):
        low, high = np.nanmin(points, axis=0) - 3, np.nanmax(points, axis=0) + 3
        axis, is_high = face % 4 // 2, face % 2
        (low if is_high else high)[axis] = (low[axis] + high[axis]) / 2
        covered[face] = ((points >= low) & (points <= high)).all(axis=1)
        with Image.open(samples.root / file) as opened:
            picture = opened.convert("L")
        left, top, right, bottom = (int(side) for side in np.rint([*low, *high]))
        picture.paste(128, (left, top, right, bottom))
        picture.save(folder / f"{face}.jpg", quality=95)
        files.append(f"{face}.jpg")
    return replace(samples, root=folder, files=tuple(files)), covered


def far_sides(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points (N, 68) of turned faces are on the far side, and which on the near side."""
    turn = turns(points)[:, None]
    left, right = (np.isin(np.arange(points.shape[1]), side) for side in SIDES)
    far = (turn < -TURNED) & left | (turn > TURNED) & right
    near = (turn > TURNED) & left | (turn < -TURNED) & right
    return far, near


def print_sizes(usual: Seen, sizes: list[int], draws: int) -> None:
    """Print how far a calibration on few faces is off."""
    print("\n| faces | draws that calibrate | difference, quartiles and 95th percentile |\n|---|---|---|")
    for size in sizes:
        gaps = differences(usual.variance, usual.errors, size, draws)
        values = ", ".join(f"{100 * value:.1f} %" for value in np.percentile(gaps, [25, 50, 75, 95]))
        print(f"| {size} | {len(gaps)} of {draws} | {values} |", flush=True)
    print()


def differences(variance: np.ndarray, errors: np.ndarray, size: int, draws: int) -> np.ndarray:
    """The difference of mean confidence and share of near points on the faces that a draw leaves, for each draw.

    Args:
        variance: (N, K), in units of the crop's side.
        errors: (N, K) likewise.
        size: faces that are drawn to calibrate on, fewer than N.
        draws: how many; those that cannot be calibrated on are left out.
    """
    rng, gaps = np.random.default_rng(0), []
    for _ in range(draws):
        order = rng.permutation(len(errors))
        drawn, others = order[:size], order[size:]
        if fit := confidence.fit(variance[drawn], errors[drawn]):
            near = np.mean(errors[others] <= confidence.NEAR)
            gaps.append(abs(confidence.confidence_of(variance[others], fit).mean() - near))
    return np.array(gaps)


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether confidence says how often points are near.")
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    add("--run", metavar="RUN", dest="runs", action="append", required=True, help="what Predictor.load takes")
    add("--held-out", action="store_true", help="of the hard faces, the validation parts alone")
    add("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    add("--draws", metavar="N", type=int, default=DRAWS)
    return exit_status("benchmarks.calibration:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
