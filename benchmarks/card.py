"""The table of a network's card: its error by set, age, in-plane rotation and turn, on validation parts.

    python -m benchmarks.card --data DIR --run RUN

Prints Markdown. Faces are the validation parts of 300-W and `more_faces`, in their labelled boxes and on the points
that a set has. Age groups are those of FG-NET and All-Age-Faces; rotation and turn are those of the infants and of
WFLW's hard faces. Intervals are a bootstrap over persons, or over photographs where persons are not known.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.face_sets import FaceSet, groups, read_set
from benchmarks.hard_faces import predict, scores_of
from kp_tf.cli import exit_status

TITLES = {
    "300-W": "300-W",
    "infanface": "InfAnFace: infants",
    "wflw": "WFLW: hard faces",
    "dlibfaces": "dlib: small faces in groups",
    "synth100": "Face Synthetics: rendered",
    "ytfaces": "YouTube Faces: frames of clips",
    "fgnet": "FG-NET: all ages, 53 points",
    "aaf": "All-Age-Faces, 49 points",
}
AGED, TILTED = ("fgnet", "aaf"), ("infanface", "wflw")
HEADER = ["| validation faces | faces | NME % | with `--flips` | over 10 % with `--flips` |", "|---|---|---|---|---|"]


def measure(data: Path, run: str) -> None:
    """Print the table."""
    sets = {name: held_out(read_set(data, name)) for name in TITLES}
    plain, flipped = ({name: predict(run, faces, flips) for name, faces in sets.items()} for flips in (False, True))
    errors = [{name: nme for name, (nme, _) in seen.items()} for seen in (plain, flipped)]
    print("\n".join([*HEADER, *rows(sets, *errors)]))
    trusted = {TITLES[name]: plain[name][1] for name in ("300-W", *TILTED)}
    print("\nConfidence and share of near points, of all points and of the least confident tenth:")
    for title, trust in trusted.items():
        print(f"{title} " + ", ".join(f"{100 * value:.0f} %" for value in trust.values()))


def held_out(faces: FaceSet) -> FaceSet:
    """The validation part."""
    return faces.take(np.flatnonzero(faces.held_out))


def rows(sets: dict[str, FaceSet], plain: dict[str, np.ndarray], flipped: dict[str, np.ndarray]) -> Iterator[str]:
    """The rows for each set, and for the age, rotation and turn of some; arguments by the name of the set.

    Args:
        sets: N faces each.
        plain: NME (N,) as a fraction; NaN for a face whose eyes are not known, which no row counts.
        flipped: the same with flips.
    """
    for name, faces in sets.items():
        yield from _row(TITLES[name], faces.units, plain[name], flipped[name])
    for names, is_shown in ((AGED, lambda group: "years" in group), (TILTED, lambda group: "years" not in group)):
        masks = [groups(sets[name]) for name in names]
        units = np.concatenate([np.char.add(name, sets[name].units.astype(str)) for name in names])
        errors = [np.concatenate([side[name] for name in names]) for side in (plain, flipped)]
        for group in filter(is_shown, masks[0]):
            chosen = np.concatenate([mask[group] for mask in masks])
            yield from _row(f"{group} ({', '.join(names)})", units[chosen], *(side[chosen] for side in errors))


def _row(title: str, units: np.ndarray, *errors: np.ndarray) -> Iterator[str]:
    known = ~np.isnan(errors[0])
    if known.any():
        plain, flipped = (scores_of(nme[known], units[known]) for nme in errors)
        cells = [_cell(plain["nme"]), _cell(flipped["nme"]), f"{100 * flipped['failures'][0]:.1f}"]
        yield f"| {title} | {known.sum()} | {' | '.join(cells)} |"


def _cell(values: list[float]) -> str:
    return "{:.2f} ({:.2f}–{:.2f})".format(*(100 * value for value in values))


def main() -> int:
    parser = argparse.ArgumentParser(description="The table of a network's card.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--run", metavar="RUN", required=True, help="what Predictor.load takes; or with {fold}")
    return exit_status("benchmarks.card:measure", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
