"""The IMM face database: one `.asf` of 58 points beside each photograph."""

import re
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.files import check_regular, list_folder, visible
from kp_tf.core.geometry import to_pixels
from kp_tf.core.images import read_orientation
from kp_tf.core.keypoints import IMM58
from kp_tf.data.samples import Samples, check_inside

MAX_COORDINATE = 100  # photographs away


def read_imm(folder: Path) -> Samples:
    """Read all photographs of the folder, each with the whole photograph as its box.

    The files' x and y are relative to the photograph and are taken as the unit square (see core/geometry.py).

    Returns:
        The samples. A file that cannot be used is left out and named in `problems`.

    Raises:
        KpError: if the folder has no `.asf`, or none that can be used.
    """
    paths = visible((path for path in list_folder(folder) if path.suffix == ".asf"), folder)
    if not paths:
        raise KpError(f"{folder}: expected the IMM face database, found no .asf file")
    files, points_norm, sizes, entries, problems = [], [], [], [], []
    for path in paths:
        try:
            host, points = _read_asf(path)
            sizes.append(_image_size(path, folder / host))
        except KpError as problem:
            problems.append(str(problem))
            continue
        files.append(host)
        points_norm.append(points)
        entries.append(path.name)
    if not files:
        raise_problems(problems, f"files of {folder} cannot be used")
    boxes = np.array([(0, 0, width, height) for width, height in sizes], np.float64)
    return Samples(
        root=folder,
        files=tuple(files),
        boxes=boxes,
        points=to_pixels(np.array(points_norm), boxes),
        scheme=IMM58,
        entries=tuple(entries),
        problems=tuple(problems),
    )


def _read_asf(path: Path) -> tuple[str, np.ndarray]:
    """The photograph's name and the (58, 2) points relative to its size, read by position."""
    check_regular(path)
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise KpError(f"cannot read {path}: {error.strerror}") from None
    lines = [
        (number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines or lines[0][1] != ["58"]:
        first = f"line {lines[0][0]}: {' '.join(lines[0][1])[:40]!r}" if lines else "an empty file"
        raise KpError(f"{path}: expected the number of points, 58, found {first}")
    rows = [row for row in lines[1:] if len(row[1]) > 1]
    if len(rows) != 58:
        raise KpError(f"{path}: expected 58 lines of points, found {len(rows)}")
    if len(lines) != 60 or len(lines[-1][1]) != 1:
        raise KpError(f"{path}: the last line does not name the photograph")
    host = lines[-1][1][0]
    if "/" in host or "\\" in host or not re.match("[0-9]{1,9}-.", host):
        raise KpError(f"{path}, line {lines[-1][0]}: expected a name such as 01-1m.jpg, found {host[:40]!r}")
    return host, np.array([_read_point(path, number, columns) for number, columns in rows])


def _read_point(path: Path, number: int, columns: list[str]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in columns[2:4])
    except ValueError:
        row = " ".join(columns)[:60]
        raise KpError(f"{path}, line {number}: expected numbers x and y in columns 3 and 4, found {row!r}") from None
    if not (abs(x) <= MAX_COORDINATE and abs(y) <= MAX_COORDINATE):  # also if one is NaN
        raise KpError(f"{path}, line {number}: expected finite x and y near the photograph, found {x} and {y}")
    return x, y


def _image_size(path: Path, image: Path) -> tuple[int, int]:
    try:
        check_inside(image.parent, image.name)
        return read_orientation(image).stored_size  # the points are relative to it
    except KpError as error:
        raise KpError(f"{path}: {error}") from None
