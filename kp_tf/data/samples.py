"""Labelled faces: photographs, boxes and points, in the order of the file they were read from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.images import read_orientation
from kp_tf.core.keypoints import Scheme
from kp_tf.core.orientation import Orientation


@dataclass(frozen=True)
class Samples:
    """N faces.

    Attributes:
        root: the folder that the file names are relative to.
        files: N names of image files, with forward slashes; a photograph may hold several faces.
        boxes: (N, 4) left, top, width, height in pixels of the photograph as stored.
        points: (N, K, 2) x, y in pixels of the photograph as stored; NaN where a point is missing. None: no labels.
        scheme: what the K points are.
        entries: N texts for messages, each naming the label file and the entry in it.
        problems: one line for each entry of the label file that could not be read.
    """

    root: Path
    files: tuple[str, ...]
    boxes: np.ndarray
    points: np.ndarray | None
    scheme: Scheme
    entries: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def labels(self) -> np.ndarray:
        """The points (N, K, 2).

        Raises:
            ValueError: if there are none.
        """
        if self.points is None:
            raise ValueError(f"these samples have no labels. Received: root={self.root}")
        return self.points

    def take(self, indices: Sequence[int] | np.ndarray) -> "Samples":
        """The faces at these indices, in this order."""
        indices = np.asarray(indices, np.int64)
        return replace(
            self,
            files=tuple(self.files[i] for i in indices),
            boxes=self.boxes[indices],
            points=None if self.points is None else self.points[indices],
            entries=tuple(self.entries[i] for i in indices),
        )

    def joined(self, more: "Samples") -> "Samples":
        """These faces and those of another file with the same points. Names become absolute if the roots differ."""
        if more.root.resolve() != self.root.resolve():
            root = more.root.resolve()
            more = replace(more, files=tuple((root / file).as_posix() for file in more.files))
        return replace(
            self,
            files=self.files + more.files,
            boxes=np.concatenate([self.boxes, more.boxes]),
            points=np.concatenate([self.labels, more.labels]),
            entries=self.entries + more.entries,
            problems=self.problems + more.problems,
        )

    def with_scheme(self, scheme: Scheme) -> "Samples":
        """The points of another scheme, found by their names; a face that has none of them becomes a problem.

        Raises:
            KpError: if no face has one.
        """
        places = {scheme.part_names.get(name, name): index for index, name in enumerate(self.scheme.names)}
        points = np.full((len(self), len(scheme), 2), np.nan)
        for index, name in enumerate(scheme.names):
            if name in places:
                points[:, index] = self.labels[:, places[name]]
        absent = np.isnan(points[..., 0]).all(axis=1)
        problems = [f"{self.entries[i]}: a face has no point of {scheme.name}" for i in np.flatnonzero(absent)]
        if absent.all():
            raise_problems(problems, f"faces of {self.root} cannot be used")
        samples = replace(self, points=points, scheme=scheme, problems=(*self.problems, *problems))
        return samples.take(np.flatnonzero(~absent))

    def checked(self) -> "Samples":
        """These samples, if every entry of the label file could be read.

        Raises:
            KpError: naming the entries that could not.
        """
        raise_problems(self.problems, f"entries of {self.root} cannot be used")
        return self

    def orientations(self) -> list[Orientation]:
        """The size and orientation of each face's photograph; decoding tells which cannot be read."""
        known = {file: _orientation(self.root / file) for file in dict.fromkeys(self.files)}
        return [known[file] for file in self.files]

    def upright(self, orientations: Sequence[Orientation]) -> "Samples":
        """Boxes and points in pixels of the upright photographs, which is what networks see."""
        turned = [index for index, orientation in enumerate(orientations) if orientation.tag != 1]
        if not turned:
            return self
        boxes, points = self.boxes.copy(), None if self.points is None else self.points.copy()
        for index in turned:
            boxes[index] = orientations[index].boxes_to_upright(boxes[index : index + 1])[0]
            if points is not None:
                points[index] = orientations[index].to_upright(points[index])
        return replace(self, boxes=boxes, points=points)


def points_to_upright(points: np.ndarray, orientations: Sequence[Orientation]) -> np.ndarray:
    """Points (N, K, 2) in pixels as stored to pixels of their upright photographs."""
    turned = [orientation.to_upright(face) for orientation, face in zip(orientations, points, strict=True)]
    return np.array(turned).reshape(points.shape)


def points_to_stored(points: np.ndarray, orientations: Sequence[Orientation]) -> np.ndarray:
    """Points (N, K, 2) in pixels of their upright photographs to pixels as stored."""
    turned = [orientation.to_stored(face) for orientation, face in zip(orientations, points, strict=True)]
    return np.array(turned).reshape(points.shape)


def _orientation(path: Path) -> Orientation:
    try:
        return read_orientation(path)
    except KpError:
        return Orientation((0, 0))


def check_inside(root: Path, file: str, allow_outside: bool | None = None) -> None:
    """Refuse a file name that leaves its folder, by its parts or through a link.

    Args:
        root: the folder.
        file: the name, relative to the folder.
        allow_outside: what the option --allow-outside says: True allows such names, False names the option in the
            message; None where there is no such option.

    Raises:
        KpError: if it does, or if it cannot be the name of a file.
    """
    name = PurePosixPath(file)
    if not file or "\0" in file:
        raise KpError("the entry names no image")
    try:
        place = (root / file).resolve()
        place.is_file()
    except OSError as error:  # the name is too long, or a folder may not be entered
        raise KpError(f"cannot read {root / file[:80]}: {error.strerror}") from None
    except RuntimeError:  # from Python 3.13 on an OSError
        raise KpError(f"cannot read {root / file[:80]}: its links form a circle") from None
    except UnicodeError:  # half of a surrogate pair
        raise KpError("the entry names no image: its name has a character that no file name has") from None
    leaves = name.is_absolute() or ".." in name.parts or not place.is_relative_to(root.resolve())
    if leaves and not allow_outside:
        option = "" if allow_outside is None else "; --allow-outside reads it all the same"
        raise KpError(f"expected an image inside {root}, found a path that leaves it{option}")
