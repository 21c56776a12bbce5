"""Columns of a CSV that divide faces into groups, such as by age, pose or source."""

import csv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular

MAX_VALUES = 12  # of a column; more numbers than this become ranges
RANGES = 4  # with as many faces each, of such a column


def read_columns(path: Path, files: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the groups of faces from a CSV with a header.

    Args:
        path: the CSV: a column `file`, which names photographs as the labels do, and any others.
        files: of N faces.

    Returns:
        For each other column the value (N,) of each face as text; "" if the CSV has no value for its photograph. A
        column of more than twelve different numbers has four ranges with as many faces each.

    Raises:
        KpError: if the file cannot be read, has no such columns or names none of the photographs, if it gives a
            photograph two rows that differ, or if a column of text has more than twelve values.
    """
    rows = _read_rows(path)
    if not rows.keys() & set(files):
        raise KpError(f"{path}: its column file names none of the photographs, such as {files[0]}")
    names = next(iter(rows.values())).keys()
    return {name: _groups(path, name, [rows.get(file, {}).get(name, "") for file in files]) for name in names}


def _read_rows(path: Path) -> dict[str, dict[str, str]]:
    """The other columns of each photograph."""
    check_regular(path)
    rows: dict[str, dict[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if "file" not in (header := reader.fieldnames or ()) or len(set(header)) < max(2, len(header)):
                raise KpError(f"{path}: expected a header with the column file and others, found {','.join(header)}")
            for row in reader:
                if None in row:
                    raise KpError(f"{path}, line {reader.line_num}: more values than columns")
                name, values = row["file"], {column: row[column].strip() for column in header if column != "file"}
                if rows.setdefault(name, values) != values:
                    raise KpError(f"{path}, line {reader.line_num}: {name} has another row with other values")
    except (UnicodeDecodeError, csv.Error) as error:
        raise KpError(f"{path}: expected a CSV in UTF-8, found: {error}") from None
    if not rows:
        raise KpError(f"{path}: there are no rows below the header")
    return rows


def _groups(path: Path, column: str, values: Sequence[str]) -> np.ndarray:
    distinct = {value for value in values if value}
    if len(distinct) <= MAX_VALUES:
        return np.array(values)
    try:
        numbers = np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        many = f"{len(distinct)} different values"
        raise KpError(f"{path}: the column {column} has {many}, but at most {MAX_VALUES} make a table") from None
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, RANGES + 1), method="nearest"))
    labels = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    labels[-1] = f"{edges[-2]:g} to {edges[-1]:g}"
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(labels) - 1)
    return np.array(["" if np.isnan(number) else labels[place] for number, place in zip(numbers, places, strict=True)])
