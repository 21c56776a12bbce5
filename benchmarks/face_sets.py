"""The labelled sets that benchmarks measure on: 300-W's validation faces and the sets of `more_faces`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from benchmarks.held_out import is_held_out, person_or_picture
from benchmarks.report import OUTER_EYES
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.data.splits import photograph_key

MORE_FACES = "more_faces"  # the folder beside those of IMM and 300-W
LABELLED = ("infanface", "wflw", "dlibfaces", "synth100", "fgnet", "ytfaces", "aaf")
SETS = ("300-W", *LABELLED)
NOSE_TIP = 30  # of the 68 points
TURNED = 0.3  # of the inter-ocular distance: how far the nose tip of a turned head is off the middle of the eyes
ROTATIONS = (0, 15, 30, 60, 180)  # degrees: edges of the groups of in-plane rotation
AGES = (0, 3, 13, 20, 40, 60)  # years: where the age groups begin
AGE = re.compile(r"\d[aA](\d\d)")  # in the names of `fgnet` and `aaf`: 001a02.jpg, 00000A02.jpg


@dataclass(frozen=True)
class FaceSet:
    """N labelled faces of one set.

    Attributes:
        name: one of SETS.
        samples: with points in the scheme of 300-W, NaN where the set has none.
        held_out: (N,) bool, the faces of the validation part.
        units: (N,) text that the faces of one person share, or else those of one photograph.
    """

    name: str
    samples: Samples
    held_out: np.ndarray
    units: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, faces: np.ndarray) -> "FaceSet":
        """The faces with these indices (n,)."""
        return replace(self, samples=self.samples.take(faces), held_out=self.held_out[faces], units=self.units[faces])

    def limited(self, count: int | None) -> "FaceSet":
        """At most `count` faces: those of the validation part first, then others evenly spaced."""
        if count is None or len(self) <= count:
            return self
        first, others = np.flatnonzero(self.held_out), np.flatnonzero(~self.held_out)
        first = first[_spaced(len(first), count)]
        return self.take(np.sort(np.concatenate([first, others[_spaced(len(others), count - len(first))]])))


def _spaced(total: int, count: int) -> np.ndarray:
    """At most `count` of the indices below `total`, evenly spaced."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int)


def read_set(data: Path, name: str) -> FaceSet:
    """Read one of SETS from the folder of the data sets.

    Raises:
        KpError: if it is not there.
    """
    if name == "300-W":
        samples = IbugDataset(data / FOLDERS["ibug"]).read_split().validation
        return FaceSet(name, samples, np.ones(len(samples), bool), np.array([*map(photograph_key, samples.files)]))
    labels = data / MORE_FACES / f"labels_{name}.xml"
    if not labels.is_file():
        raise KpError(f"{labels} is not there: --data names the folder that has {MORE_FACES}/")
    samples = read_dlib_xml(labels, IBUG68, partial=True)
    held_out = np.array([is_held_out(file) for file in samples.files])
    return FaceSet(name, samples, held_out, np.array([person_or_picture(file) for file in samples.files]))


def rotations(points: np.ndarray) -> np.ndarray:
    """In-plane rotation (N,) in degrees of faces (N, 68, 2), from the outer corners of the eyes, clockwise."""
    x, y = np.moveaxis(points[:, OUTER_EYES[1]] - points[:, OUTER_EYES[0]], -1, 0)
    return np.degrees(np.arctan2(y, x))


def turns(points: np.ndarray) -> np.ndarray:
    """How far (N,) the nose tip is off the middle of the eyes, along the line of the eyes and in their distance."""
    left, right = (points[:, k] for k in OUTER_EYES)
    across = right - left
    offset = ((points[:, NOSE_TIP] - (left + right) / 2) * across).sum(axis=-1)
    return offset / (across**2).sum(axis=-1)


def ages(files: Sequence[str]) -> np.ndarray:
    """The age (N,) in years that the names of `fgnet` and `aaf` tell; NaN elsewhere."""
    return np.array([_age(PurePosixPath(file)) for file in files], float)


def _age(file: PurePosixPath) -> float:
    found = AGE.search(file.name) if file.parent.name in ("fgnet", "aaf") else None
    return float(found.group(1)) if found else np.nan


def groups(faces: FaceSet) -> dict[str, np.ndarray]:
    """Masks (N,) of groups of faces by name: by in-plane rotation, turn and, where the names tell it, age.

    Faces without eyes or nose are in no group of rotation or turn.
    """
    rotation, turn = np.abs(rotations(faces.samples.labels)), np.abs(turns(faces.samples.labels))
    years = ages(faces.samples.files)
    by_rotation = _ranges(rotation, (*ROTATIONS[:-1], 181), lambda low, high: f"rotated {low}–{min(high, 180)}°")
    upright = rotation < ROTATIONS[2]
    by_turn = {"turned": turn > TURNED, "turned, rotated below 30°": upright & (turn > TURNED)}
    by_turn["frontal, rotated below 30°"] = upright & (turn <= TURNED)
    by_age = _ranges(
        years, (*AGES, 200), lambda low, high: f"{low}–{high - 1} years" if high < 200 else f"{low}+ years"
    )
    return by_rotation | by_turn | by_age


def _ranges(values: np.ndarray, edges: Sequence[int], label: Callable[[int, int], str]) -> dict[str, np.ndarray]:
    return {label(low, high): (values >= low) & (values < high) for low, high in pairwise(edges)}
