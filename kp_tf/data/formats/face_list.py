"""What the readers of label formats share: faces and problems collected entry by entry, and checks of numbers."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kp_tf.core.boxes import check_box_size
from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.geometry import boxes_around_points
from kp_tf.core.images import read_orientation
from kp_tf.core.keypoints import Scheme
from kp_tf.core.orientation import Orientation
from kp_tf.data.dlib_xml import MAX_COORDINATE, in_natural_order
from kp_tf.data.names import PhotographFinder
from kp_tf.data.samples import Samples

CORNER = 0.5  # what tools that count from the corner of the top left pixel add to our coordinates of points

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass
class FaceList:
    """The faces of a label file in its order, and the entries that cannot be used.

    Attributes:
        source: the label file or folder, for messages.
        root: the folder that the names of photographs are relative to.
        allow_outside: see `samples.check_inside`.
        upright: whether the labels are in pixels of the upright photographs; see `to_stored`.
    """

    source: Path
    root: Path
    allow_outside: bool | None = None
    upright: bool = True
    _faces: list[tuple[str, str, Box | None, dict[str, Point]]] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)
    _orientations: dict[str, Orientation | None] = field(default_factory=dict)
    _entry: str = ""
    _photographs: PhotographFinder = field(init=False)

    def __post_init__(self) -> None:
        self._photographs = PhotographFinder(self.root, self.allow_outside)

    @contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """Read one entry: a KpError in the block drops the entry's faces and becomes a problem."""
        kept, self._entry = len(self._faces), name
        try:
            yield
        except KpError as problem:
            del self._faces[kept:]
            self._problems.append(f"{name}: {problem}")

    def add(
        self, file: str, points: Mapping[str, Point], box: Box | None = None, seen: tuple[int, int] | None = None
    ) -> None:
        """Add a face of the current entry.

        Args:
            file: the photograph, relative to the root.
            points: (x, y) by name; the centre of the top left pixel is (0, 0).
            box: left, top, width, height. Default: the smallest box around the points.
            seen: width and height of the photograph as the label file states them.

        Raises:
            KpError: if the file leaves the root, a box has no size, there are no points, or the sizes do not fit.
        """
        file = self._photographs.find(file)
        if not points:
            raise KpError("a face has no points")
        if box is not None:
            check_box_size(*box[2:])
        if self.upright and file not in self._orientations:
            self._orientations[file] = _orientation(self.root / file)
        self._faces.append((self._entry, file, *to_stored(self._orientations.get(file), points, box, seen)))

    def samples(self, names: Sequence[str] = ()) -> Samples:
        """The samples.

        Args:
            names: of the points, in order. Default: all that occur, sorted with numbers by value.

        Raises:
            KpError: if there is no face, or the points have far too many names.
        """
        if not self._faces:
            raise_problems(self._problems, f"entries of {self.source} cannot be used")
            raise KpError(f"{self.source}: there are no faces with points")
        names = names or in_natural_order({name for *_, points in self._faces for name in points}, self.source)
        nothing = (math.nan, math.nan)
        points = np.array([[face.get(name, nothing) for name in names] for *_, face in self._faces], np.float64)
        around = boxes_around_points(points)
        boxes = [around[index] if box is None else box for index, (_, _, box, _) in enumerate(self._faces)]
        return Samples(
            root=self.root,
            files=tuple(file for _, file, _, _ in self._faces),
            boxes=np.array(boxes, np.float64),
            points=points,
            scheme=Scheme("own", tuple(names), ()),
            entries=tuple(entry for entry, *_ in self._faces),
            problems=tuple(self._problems),
        )


def to_stored(
    orientation: Orientation | None, points: Mapping[str, Point], box: Box | None, seen: tuple[int, int] | None
) -> tuple[Box | None, dict[str, Point]]:
    """The box and points of a face in pixels of the photograph as stored.

    Tools that show photographs turn them upright by EXIF, so labels are taken as upright unless the size in the label
    file is that of the photograph as stored.

    Raises:
        KpError: if the size is neither, so that the labels were made on another picture.
    """
    if orientation and seen and seen not in (orientation.size, orientation.stored_size):
        width, height = orientation.size
        raise KpError(f"the photograph has {width} × {height} pixels, and the labels say {seen[0]} × {seen[1]}")
    if orientation is None or orientation.tag == 1 or (seen and seen != orientation.size):
        return box, dict(points)
    turned = orientation.to_stored(np.array(list(points.values())))
    boxes = None if box is None else tuple(orientation.boxes_to_stored(np.array([box]))[0].tolist())
    return boxes, dict(zip(points, map(tuple, turned.tolist()), strict=True))


def as_upright(samples: Samples) -> tuple[Samples, list[tuple[int, int]]]:
    """Samples in pixels of the upright photographs, and each face's width and height of its photograph.

    Raises:
        KpError: if a photograph cannot be read.
    """
    orientations = samples.orientations()
    for file, orientation in zip(samples.files, orientations, strict=True):
        if not all(orientation.size):
            read_orientation(samples.root / file)  # says what is wrong with it
    return samples.upright(orientations), [orientation.size for orientation in orientations]


def _orientation(path: Path) -> Orientation | None:
    try:
        return read_orientation(path)
    except KpError:  # decoding will tell what is wrong with it
        return None


def in_images(folder: Path, file: str) -> str:
    """The name of a photograph in the folder, or in its folder `images`, where exports have them."""
    beside = f"images/{file}"
    return beside if not os.path.exists(folder / file) and os.path.isfile(folder / beside) else file


def shown(value: object) -> str:
    """A value of JSON for messages, which may be long or deep."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return repr(value)[:40]


def number(value: object, what: str) -> float:
    """A number of JSON or the text of one, finite and no larger than a photograph.

    Raises:
        KpError: saying what was expected.
    """
    try:
        known = float(value) if isinstance(value, str) else value
    except ValueError:
        known = math.nan
    if isinstance(known, bool) or not isinstance(known, int | float) or not abs(known) <= MAX_COORDINATE:
        raise KpError(f"expected a number {what}, found {shown(value)}")
    return float(known)


def numbers(values: object, count: int, what: str) -> list[float]:
    """A list of so many numbers; see `number`."""
    if not isinstance(values, list) or len(values) != count:
        raise KpError(f"expected {count} numbers {what}, found {shown(values)}")
    return [number(value, what) for value in values]
