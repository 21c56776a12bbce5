"""Faces of photographs with their boxes and points, and which of them are kept for validation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme


@dataclass(frozen=True)
class Records:
    """N faces, in the order of the file they were read from.

    Attributes:
        root: the folder that the file names are relative to.
        files: N names of image files, with forward slashes; one photograph may hold several faces.
        boxes: (N, 4) left, top, width, height in pixels of the photograph as stored.
        points: (N, K, 2) x, y in pixels of the photograph; NaN where a point is missing. None: no labels.
        scheme: what the K points are.
        entries: N texts for messages, naming the label file and the entry in it.
    """

    root: Path
    files: tuple[str, ...]
    boxes: np.ndarray
    points: np.ndarray | None
    scheme: Scheme
    entries: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Records":
        """The faces at these indices, in this order."""
        indices = np.asarray(indices, np.int64)
        return replace(
            self,
            files=tuple(self.files[i] for i in indices),
            boxes=self.boxes[indices],
            points=None if self.points is None else self.points[indices],
            entries=tuple(self.entries[i] for i in indices),
        )


def check_inside(root: Path, file: str) -> None:
    """Refuse a file name that leaves its folder: by its parts, or by a link.

    Raises:
        KpError: if it does, or is no name of a file.
    """
    name = PurePosixPath(file)
    if not file or "\0" in file:
        raise KpError("expected the name of an image, found none")
    try:
        place = (root / file).resolve()
        place.is_file()
    except (OSError, RuntimeError) as error:  # too long a name; links in a circle
        raise KpError(f"expected an image inside {root}, found: {str(error)[:80]}") from None
    if name.is_absolute() or ".." in name.parts or not place.is_relative_to(root.resolve()):
        raise KpError(f"expected an image inside {root}, found a path that leaves it")


def is_mirror(file: str) -> bool:
    """Whether the file is one of the release's mirrored photographs."""
    return PurePosixPath(file).stem.endswith("_mirror")


def photograph_key(file: str) -> str:
    """What a file has in common with its mirror and with the other faces of the same photograph.

    The folder and the stem without `_mirror` and, outside `lfpw/`, without the last `_N`: AFW, HELEN and iBUG
    name the faces of one photograph STEM_1, STEM_2; LFPW's image_0001 is a whole name.
    """
    path = PurePosixPath(file)
    stem = path.stem.removesuffix("_mirror")
    if path.parts[0] != "lfpw":
        head, _, tail = stem.rpartition("_")
        stem = head if head and tail.isdigit() else stem
    return (path.parent / stem).as_posix()


def in_validation(file: str) -> bool:
    """One photograph in ten, by a hash of its key: the same for every seed, recipe and copy of the data."""
    return int(hashlib.sha256(photograph_key(file).encode()).hexdigest()[:8], 16) % 10 == 0
