"""300-W's `.pts`: a text file beside each photograph.

Pixels are counted from 1, so that the centre of the top left pixel is (1, 1); they are those of the photograph as
stored. There are no boxes and no names: boxes are drawn around the points, and points are numbered from `00`.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular, visible
from kp_tf.core.image_files import SUFFIXES
from kp_tf.data.formats.face_list import FaceList, Point, number
from kp_tf.data.samples import Samples

FIRST = 1  # the number of the first pixel
DECIMALS = 3
MAX_POINTS = 10_000


def recognizes(path: Path) -> bool:
    """Whether a folder holds `.pts` files."""
    return path.is_dir() and bool(visible(path.rglob("*.pts"), path))


def read(path: Path, allow_outside: bool | None = None) -> Samples:
    """Read all `.pts` files in a folder and below it.

    `name.pts` and `name_1.pts` are faces of the photograph `name`, which has the suffix of any format or none; a
    photograph of that very name goes first. Files whose number of points is not the most frequent one are problems.

    Raises:
        KpError: if there is no file that can be used.
    """
    faces = FaceList(path, path, allow_outside, upright=False)
    photographs: dict[Path, list[Path]] = defaultdict(list)
    for file in visible(path.rglob("*"), path):
        if file.suffix.lower() in SUFFIXES:
            photographs[file.with_suffix("")].append(file)
    read: dict[Path, list[Point]] = {}
    for file in visible(path.rglob("*.pts"), path):
        with faces.entry(file.relative_to(path).as_posix()):
            read[file] = _read_points(file)
    usual = Counter(map(len, read.values())).most_common(1)
    for file, points in read.items():
        with faces.entry(file.relative_to(path).as_posix()):
            if len(points) != usual[0][0]:
                raise KpError(f"it has {len(points)} points; most files of the folder have {usual[0][0]}")
            names = [f"{k:02d}" for k in range(len(points))]
            faces.add(
                _photograph(file, photographs).relative_to(path).as_posix(), dict(zip(names, points, strict=True))
            )
    return faces.samples()


def render(target: Path, samples: Samples) -> dict[Path, bytes]:
    """The files in the folder `target`, each beside its photograph: `name.pts`, or `name_1.pts` and so on for several.

    Raises:
        KpError: if a face lacks a point, which this format cannot express, or two photographs have the same stem.
    """
    counts, seen, contents = Counter(samples.files), Counter(), {}
    for file, points, entry in zip(samples.files, samples.labels, samples.entries, strict=True):
        seen[file] += 1
        photograph = target / file
        name = f"{photograph.stem}_{seen[file]}.pts" if counts[file] > 1 else f"{photograph.stem}.pts"
        path = photograph.with_name(name)
        if path in contents:
            raise KpError(f"{entry}: another photograph has the same name {path.stem} without its suffix")
        try:
            contents[path] = as_text(points, samples.scheme.names).encode()
        except KpError as error:
            raise KpError(f"{entry}: {error}") from None
    return contents


def as_text(points: np.ndarray, names: Sequence[str], decimals: int = DECIMALS) -> str:
    """A `.pts` file of points (K, 2).

    Raises:
        KpError: if a point is missing, which this format cannot express.
    """
    if (missing := np.isnan(points).any(axis=1)).any():
        raise KpError(f"a .pts file needs every point of the face, but point {names[int(missing.argmax())]} is missing")
    rows = "".join(f"{x:.{decimals}f} {y:.{decimals}f}\n" for x, y in points + FIRST)
    return f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n"


def _read_points(path: Path) -> list[Point]:
    check_regular(path)
    try:
        lines = [line.split() for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    except OSError as error:
        raise KpError(f"cannot read it: {error.strerror}") from None
    if ["{"] not in lines or lines[-1] != ["}"]:
        raise KpError("expected lines of x and y between { and }")
    start = lines.index(["{"])
    rows = lines[start + 1 : -1]
    stated = dict(("".join(line).lower().split(":", 1) + [""])[:2] for line in lines[:start]).get("n_points", "")
    if stated != str(len(rows)) or not 0 < len(rows) <= MAX_POINTS:
        raise KpError(f"n_points is {stated[:20] or 'missing'}, and there are {len(rows)} lines of points")
    if not all(len(row) == 2 for row in rows):
        raise KpError("expected two numbers x and y in each line of points")
    return [(number(x, "x") - FIRST, number(y, "y") - FIRST) for x, y in rows]


def _photograph(path: Path, photographs: dict[Path, list[Path]]) -> Path:
    """The photograph that a `.pts` belongs to, of those in the folder by their path without suffix."""
    head, _, tail = path.stem.rpartition("_")
    stems = (path.stem, head) if head and tail.isdecimal() else (path.stem,)
    found = next((found for stem in stems if (found := photographs.get(path.with_name(stem)))), [])
    found = found or [file for stem in stems if (file := path.with_name(stem)).is_file()][:1]
    if len(found) > 1:
        raise KpError(f"it may belong to {found[0].name} or {found[1].name}; keep one of them")
    if not found:
        raise KpError("there is no photograph of this name beside it")
    return found[0]
