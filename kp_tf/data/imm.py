"""The IMM face database: one `.asf` of 58 points beside each photograph of the whole face."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from kp_tf.core.errors import KpError, raise_all
from kp_tf.core.geometry import to_pixels
from kp_tf.data.samples import Records, check_inside
from kp_tf.core.keypoints import IMM58

VALIDATION_PEOPLE = range(33, 41)
FARTHEST = 100  # photographs away


def read_imm(folder: Path, skipped: list[str] | None = None) -> Records:
    """All photographs of the folder, each with the whole photograph as its box.

    The files' x and y are relative to the photograph and are taken as the unit square (see geometry.py).
    With `skipped` the bad ones are left out and named there, unless all are bad.

    Raises:
        KpError: if the folder has no `.asf`, or any of them is bad; names up to twenty and counts all.
    """
    paths = sorted(folder.glob("*.asf"))
    if not paths:
        raise KpError(f"{folder}: expected the IMM face database (*.asf and *.jpg), found no .asf file")
    files, units, sizes, entries, problems = [], [], [], [], []
    for path in paths:
        try:
            host, points = _read_asf(path)
            sizes.append(_image_size(path, folder / host))
        except KpError as problem:
            problems.append(str(problem))
            continue
        files.append(host)
        units.append(points)
        entries.append(path.name)
    raise_all(problems, "bad files in the IMM face database", skipped if files else None)
    boxes = np.array([(0, 0, width, height) for width, height in sizes], np.float64)
    return Records(
        root=folder,
        files=tuple(files),
        boxes=boxes,
        points=to_pixels(np.array(units), boxes),
        scheme=IMM58,
        entries=tuple(entries),
    )


def imm_validation(file: str) -> bool:
    """Whether a photograph (`NN-Kg.jpg`) is of one of the people 33–40."""
    return int(file.split("-")[0]) in VALIDATION_PEOPLE


def _read_asf(path: Path) -> tuple[str, np.ndarray]:
    """The photograph's name and the (58, 2) points relative to its size, read by position."""
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise KpError(f"{path}: expected a file of points, found: {error.strerror}") from None
    lines = [
        (number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines or lines[0][1] != ["58"]:
        found = f"line {lines[0][0]}: {' '.join(lines[0][1])[:40]!r}" if lines else "an empty file"
        raise KpError(f"{path}: expected the number of points, 58, found {found}")
    rows = [row for row in lines[1:] if len(row[1]) > 1]
    if len(rows) != 58:
        raise KpError(f"{path}: expected 58 lines of points, found {len(rows)}")
    if len(lines) != 60 or len(lines[-1][1]) != 1:
        raise KpError(f"{path}: expected the photograph's name in the last line, found none")
    host = lines[-1][1][0]
    if "/" in host or "\\" in host or not re.match("[0-9]{1,9}-.", host):
        raise KpError(f"{path}, line {lines[-1][0]}: expected a name such as 01-1m.jpg, found {host[:40]!r}")
    return host, np.array([_read_point(path, number, columns) for number, columns in rows])


def _read_point(path: Path, number: int, columns: list[str]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in columns[2:4])
    except ValueError:
        found = " ".join(columns)[:60]
        raise KpError(
            f"{path}, line {number}: expected numbers x and y in columns 3 and 4, found {found!r}"
        ) from None
    if not (abs(x) <= FARTHEST and abs(y) <= FARTHEST):  # nor NaN
        raise KpError(f"{path}, line {number}: expected finite x and y near the photograph, found {x} and {y}")
    return x, y


def _image_size(path: Path, image: Path) -> tuple[int, int]:
    try:
        check_inside(image.parent, image.name)
    except KpError as error:
        raise KpError(f"{path}: {error}") from None
    if not image.is_file():
        raise KpError(f"{path}: expected its photograph {image.name} beside it, found no such file")
    try:
        with Image.open(image) as photograph:
            return photograph.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        size = image.stat().st_size
        raise KpError(f"{image}: expected a JPEG or PNG image, found {size} bytes that are none") from None
